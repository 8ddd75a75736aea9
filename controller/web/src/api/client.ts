// Requests to the controller's API. Every refusal becomes a `Problem` whose message says what to do.

/** A refusal or failure, as the API's problem documents have it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly members: Record<string, unknown> = {},
  ) {
    super(detail)
  }
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** What is to happen when the session has ended; answers whether somebody has signed in again since. */
let signInAgain: () => Promise<boolean> = async () => false

export function onSessionEnd(ask: () => Promise<boolean>): void {
  signInAgain = ask
}

/** Asks the API. Where the session has ended, asks again once somebody has signed in. */
export async function call<T>(method: Method, path: string, body?: unknown): Promise<T> {
  let response = await send(method, path, body)
  if (response.status === 401 && path !== '/api/login' && (await signInAgain())) {
    response = await send(method, path, body)
  }
  if (!response.ok) throw await problem(response)
  // Some answers say all with their status.
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

export const read = <T>(path: string): Promise<T> => call<T>('GET', path)

/** A path with its parts escaped, and a query of those values that are given. */
export function url(parts: readonly string[], query: Record<string, string | number | undefined | null> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '')
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
  return `/api/${parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`
}

async function send(method: Method, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  } catch {
    throw new Problem(0, 'Unreachable', 'The controller does not answer. Is it running, and the network up?')
  }
}

async function problem(response: Response): Promise<Problem> {
  try {
    const { title, detail, ...members } = await response.json()
    return new Problem(response.status, String(title), String(detail), members)
  } catch {
    const text = `The controller answered ${response.status} without saying why; a proxy in between may have.`
    return new Problem(response.status, response.statusText, text)
  }
}
