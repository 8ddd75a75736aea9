// Places with more text than room: the keyboard has to reach them to scroll.

/** For `{@attach}`: as long as `place` holds more than it shows, it takes the focus. */
export function scrollable(place: HTMLElement): () => void {
  const observer = new ResizeObserver(() => {
    if (place.scrollHeight > place.clientHeight) place.tabIndex = 0
    else place.removeAttribute('tabindex')
  })
  observer.observe(place)
  return () => observer.disconnect()
}
