// What a form asks the API to change of a host: only what is another than before. Pure.
import type { ChangeOfHost, Instance } from '../api/types'

/** A host as its form holds it. */
export interface HostForm {
  name: string
  description: string
  environment: string
  /** With spaces or commas between them. */
  tags: string
  /** Where the controller dials its agent; empty where the agent dials. */
  url: string
}

export const formOf = (one: Pick<Instance, 'name' | 'description' | 'environment' | 'tags' | 'url'>): HostForm => ({
  name: one.name,
  description: one.description,
  environment: one.environment ?? '',
  tags: one.tags.join(' '),
  url: one.url ?? '',
})

/** What differs between the host as it was when the form was opened and the form; none if nothing does. */
export function changeOf(before: HostForm, form: HostForm): ChangeOfHost | null {
  const change: ChangeOfHost = {}
  const trimmed = (key: keyof HostForm) => form[key].trim()
  if (trimmed('name') !== before.name) change.name = trimmed('name')
  if (trimmed('description') !== before.description) change.description = trimmed('description')
  if (trimmed('environment') !== before.environment) change.environment = trimmed('environment') || null
  if (trimmed('url') !== before.url) change.url = trimmed('url') || null
  const words = (text: string) => [...new Set(text.split(/[\s,]+/).filter(Boolean))]
  if (words(form.tags).sort().join(' ') !== words(before.tags).sort().join(' ')) change.tags = words(form.tags)
  return Object.keys(change).length > 0 ? change : null
}
