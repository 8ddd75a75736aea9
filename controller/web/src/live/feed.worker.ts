// The live stream beside the page: hundreds of changes a second are received, told apart and passed over here, where
// they keep nobody from typing.
import { Feed } from './feed'
import type { Asked, Answer } from './feeds'

const page = self as unknown as { postMessage(answer: Answer): void; onmessage: ((event: MessageEvent<Asked>) => void) | null }
let feed: Feed | null = null

page.onmessage = ({ data: asked }) => {
  switch (asked.do) {
    case 'open': {
      feed?.close()
      const { of } = asked
      feed = new Feed(
        asked.path,
        (told) => page.postMessage({ of, told }),
        (told) => page.postMessage({ of, told, lost: true }),
      )
      feed.watched = new Set(asked.watched)
      break
    }
    case 'close':
      feed?.close()
      feed = null
      break
    case 'grant':
      feed?.grant()
      break
    case 'watch':
      if (feed) feed.watched = new Set(asked.watched)
      page.postMessage({ of: asked.of, watching: asked.turn })
  }
}
