// Follows one sync of many hosts: the whole of it first, then what changes; and the logs of those hosts that run now.
import { read, url } from '../api/client'
import type { Log, ProgressChange, Rollout, RolloutNews, RolloutStep, RolloutWhole } from '../api/types'
import { isOver } from '../lib/rollouts'
import { Story } from '../lib/progress'
import { live } from './store.svelte'

const SHOW_EVERY = 150

export class RolloutFollower {
  rollout = $state.raw<Rollout | null>(null)
  steps = $state.raw<RolloutStep[]>([])
  problem = $state<string | null>(null)
  version = $state(0)
  readonly #stories = new Map<string, Story>()
  readonly #ends: (() => void)[]
  /** What was told while the whole was on its way. */
  #early: RolloutNews[] | null = null
  #turn = 0
  #pending: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly id: string) {
    this.#ends = [
      live.follow({ kind: 'rollout', told: (data) => this.#news(data as RolloutNews) }),
      live.follow({ kind: 'progress', told: (data) => this.#progress(data as ProgressChange) }),
    ]
  }

  close(): void {
    for (const end of this.#ends) end()
    clearTimeout(this.#pending)
  }

  /** The log of a running step, as far as it has come. */
  story(command: string | null | undefined): Story | undefined {
    void this.version
    return command ? this.#stories.get(command) : undefined
  }

  /** Reads everything anew: at first, and whenever the connection was lost. */
  async load(): Promise<void> {
    const turn = (this.#turn += 1)
    this.#early ??= []
    try {
      const { steps, ...rollout } = await read<RolloutWhole>(url(['rollouts', this.id]))
      // One that was asked for later knows more.
      if (turn !== this.#turn) return
      this.rollout = rollout
      this.steps = steps
      this.problem = null
    } catch (error) {
      if (turn !== this.#turn) return
      this.problem = error instanceof Error ? error.message : String(error)
    }
    const early = this.#early ?? []
    this.#early = null
    for (const news of early) this.#news(news)
    this.#followRunning()
  }

  #news(news: RolloutNews): void {
    if (news.rollout.id !== this.id) return
    if (this.#early) {
      this.#early.push(news)
      return
    }
    this.rollout = news.rollout
    const steps = [...this.steps]
    for (const step of news.steps) steps[step.place] = step
    this.steps = steps
    this.#followRunning()
  }

  #followRunning(): void {
    const running = new Set(this.steps.filter((one) => one.state === 'running').map((one) => one.command))
    for (const command of this.#stories.keys()) if (!running.has(command)) this.#stories.delete(command)
    for (const { command, state } of this.steps) {
      if (!command || isOver(state) || !running.has(command) || this.#stories.has(command)) continue
      const story = new Story()
      this.#stories.set(command, story)
      void this.#read(command, story)
    }
    this.#show()
  }

  /** The lines that were told before, or missed. */
  async #read(command: string, story: Story): Promise<void> {
    try {
      const log = await read<Log>(url(['commands', command, 'log'], { from: story.next }))
      for (const line of log.lines) story.add(line)
      this.#show()
    } catch {
      // The bar stays empty; what comes next moves it.
    }
  }

  #progress({ command, lines }: ProgressChange): void {
    const story = this.#stories.get(command)
    const first = lines[0]
    if (!story || !first) return
    if (first.line > story.next) {
      void this.#read(command, story)
      return
    }
    for (const line of lines) story.add(line)
    this.#show()
  }

  #show(): void {
    this.#pending ??= setTimeout(() => {
      this.#pending = undefined
      this.version += 1
    }, SHOW_EVERY)
  }
}
