// Where the live stream is received: in a worker that is made once, or in the page where there are none.
import { Feed } from './feed'
import type { Told } from './gathered'

/** What the worker is asked; `of` numbers the connections. */
export type Asked =
  | { do: 'open'; of: number; path: string; watched: string[] }
  | { do: 'close' | 'grant'; of: number }
  | { do: 'watch'; of: number; watched: string[]; turn: number }
export type Answer = { of: number; told: Told[]; lost?: boolean } | { of: number; watching: number }

export interface Connection {
  /** What is told from now on, or waits, may be given, once. */
  grant(): void
  /** From when this resolves, what is told of the containers of these instances is given. */
  watch(instances: readonly string[]): Promise<void>
  close(): void
}

type Give = (told: Told[]) => void

let worker: Worker | null = null
let connections = 0

/** As soon as the page is loaded: it takes a moment to start. */
export function prepare(): void {
  try {
    worker = new Worker(new URL('./feed.worker.ts', import.meta.url), { type: 'module' })
    // Its file could not be had, say since the controller is another now: the page itself will do.
    worker.addEventListener('error', () => (worker = null), { once: true })
  } catch {
    worker = null
  }
}

export function connect(path: string, watched: readonly string[], give: Give, lost: Give): Connection {
  return worker ? beside(worker, path, watched, give, lost) : within(path, watched, give, lost)
}

function within(path: string, watched: readonly string[], give: Give, lost: Give): Connection {
  const feed = new Feed(path, give, lost)
  feed.watched = new Set(watched)
  return {
    grant: () => feed.grant(),
    watch: async (instances) => void (feed.watched = new Set(instances)),
    close: () => feed.close(),
  }
}

function beside(to: Worker, path: string, watched: readonly string[], give: Give, lost: Give): Connection {
  const of = (connections += 1)
  const ask = (asked: Asked) => to.postMessage(asked)
  const waiting = new Map<number, () => void>()
  let turns = 0
  const answered = ({ data }: MessageEvent<Answer>) => {
    if (data.of !== of) return
    if ('watching' in data) {
      waiting.get(data.watching)?.()
      waiting.delete(data.watching)
    } else if (data.lost) {
      close()
      lost(data.told)
    } else give(data.told)
  }
  const failed = () => {
    close()
    lost([])
  }
  const close = () => {
    to.removeEventListener('message', answered)
    to.removeEventListener('error', failed)
    for (const done of waiting.values()) done()
    waiting.clear()
    ask({ do: 'close', of })
  }
  to.addEventListener('message', answered)
  to.addEventListener('error', failed)
  ask({ do: 'open', of, path, watched: [...watched] })
  return {
    grant: () => ask({ do: 'grant', of }),
    watch: (instances) =>
      new Promise((done) => {
        waiting.set((turns += 1), done)
        ask({ do: 'watch', of, watched: [...instances], turn: turns })
      }),
    close,
  }
}
