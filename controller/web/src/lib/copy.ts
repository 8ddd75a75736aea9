// Copying text. Without TLS browsers keep their clipboard API away from pages, so the old way stands in.

export async function copy(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text)
      return true
    }
  } catch {
    // Not allowed: the old way may be.
  }
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'unseen'
  // Inside an open dialogue, where the focus has to stay.
  const home = document.querySelector('dialog[open]') ?? document.body
  home.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}
