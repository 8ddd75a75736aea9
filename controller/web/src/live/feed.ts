// One connection to `/api/live`: gathers what is told until it is asked for. Runs in a worker, or in the page itself.
import { ASIDE, Gathered, KINDS, ofContainers, type Told } from './gathered'

export class Feed {
  /** Instances whose containers are worth reading. */
  watched: ReadonlySet<string> = new Set()
  #gathered = new Gathered()
  /** Whether what is gathered may be given: once for each time that it is asked for. */
  #granted = true
  #timer: ReturnType<typeof setTimeout> | undefined
  #source: EventSource

  constructor(
    path: string,
    private readonly give: (told: Told[]) => void,
    /** The connection is over; with what was not given before. */
    private readonly lost: (told: Told[]) => void,
  ) {
    this.#source = new EventSource(path)
    for (const kind of [...KINDS, ...ASIDE]) {
      this.#source.addEventListener(kind, (event) => {
        const text = (event as MessageEvent<string>).data
        const instance = ofContainers(kind, text)
        if (instance !== null && !this.watched.has(instance)) return
        this.#gathered.add(kind, text)
        if (this.#gathered.overfull) this.#end()
        else this.#soon()
      })
    }
    this.#source.onerror = () => this.#end()
  }

  /** What is gathered, or comes next, may be given, once. */
  grant(): void {
    this.#granted = true
    this.#soon()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#source.close()
  }

  /** After all that has arrived by now. */
  #soon(): void {
    if (!this.#granted || this.#gathered.size === 0) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#granted = false
      this.give(this.#gathered.take())
    }, 0)
  }

  #end(): void {
    this.close()
    this.lost(this.#gathered.take())
  }
}
