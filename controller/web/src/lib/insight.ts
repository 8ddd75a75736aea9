// Bars that scroll sideways where the screen is narrow: where one is has to be in sight.

/** For `{@attach}`: keeps the link of the page that is shown (`aria-current`) in the part of the bar that is seen. */
export function inSight(bar: HTMLElement): () => void {
  const look = () => {
    const current = bar.querySelector<HTMLElement>('[aria-current="page"]')
    if (!current || bar.scrollWidth <= bar.clientWidth) return
    const [place, whole] = [current.getBoundingClientRect(), bar.getBoundingClientRect()]
    bar.scrollLeft += place.left + place.width / 2 - (whole.left + whole.width / 2)
  }
  const size = new ResizeObserver(look)
  size.observe(bar)
  const page = new MutationObserver(look)
  page.observe(bar, { attributes: true, attributeFilter: ['aria-current'], subtree: true })
  return () => {
    size.disconnect()
    page.disconnect()
  }
}
