// Places with more text than room: the keyboard has to reach them to scroll.

/** For `{@attach}`: as long as `place` holds more than it shows, it takes the focus. */
export function scrollable(place: HTMLElement): () => void {
  const look = () => {
    if (place.scrollHeight > place.clientHeight) place.tabIndex = 0
    else place.removeAttribute('tabindex')
  }
  const size = new ResizeObserver(look)
  size.observe(place)
  // At its greatest height a place keeps its size while its text grows.
  const text = new MutationObserver(look)
  text.observe(place, { childList: true, characterData: true, subtree: true })
  return () => {
    size.disconnect()
    text.disconnect()
  }
}
