// Who is signed in, and what happens when that ends: the page stays, a dialogue asks to sign in, work goes on.
import { call, onSessionEnd, Problem, read } from '../api/client'
import type { BegunSignIn, FinishedSignIn, Session } from '../api/types'
import { live } from '../live/store.svelte'
import { returned } from './accounts'
import { CALLBACK } from './paths'
import { router } from './router.svelte'

class SessionStore {
  /** Who is signed in; none if nobody is. */
  person = $state.raw<Session | null>(null)
  /** Whether it is known who is. */
  known = $state(false)
  /** Whether the session ended while the page was open. */
  expired = $state(false)
  /** Why it could not be found out. */
  problem = $state<string | null>(null)
  /** Whether guests are let in without a password. */
  guestsWelcome = $state(false)
  /** What people know the provider as that they may sign in at; none if there is none. */
  provider = $state<string | null>(null)

  #waiting: ((signedIn: boolean) => void)[] = []

  constructor() {
    onSessionEnd(() => this.#again())
  }

  get mayChange(): boolean {
    return this.person?.may_change ?? false
  }

  /** Finds out who is signed in, or signs in whom the provider has sent back. */
  async look(): Promise<void> {
    const refused = location.pathname === CALLBACK ? await this.#finish() : null
    if (!this.person) await this.#ask()
    this.problem = refused ?? this.problem
    this.known = true
  }

  async #ask(): Promise<void> {
    try {
      const response = await fetch('/api/session')
      const answer = await response.json()
      if (response.ok) this.#enter(answer as Session)
      else if (response.status === 401) {
        this.guestsWelcome = answer.guests === true
        this.provider = typeof answer.provider === 'string' ? answer.provider : null
      }
      this.problem = response.ok || response.status === 401 ? null : `The controller answered ${response.status}.`
    } catch {
      this.problem = 'The controller does not answer.'
    }
  }

  /** Leaves for the provider's page, to come back to this one. */
  async signInAtProvider(): Promise<void> {
    const here = location.pathname + location.search
    location.assign((await call<BegunSignIn>('POST', '/api/oidc/begin', { to: here })).location)
  }

  /** Hands in what the provider sent the browser back with; answers with what went wrong. */
  async #finish(): Promise<string | null> {
    const answer = returned(location.search)
    // The code is of no use to whoever looks at the address bar or the history.
    router.replace('/')
    try {
      const { session, to } = await call<FinishedSignIn>('POST', '/api/oidc/finish', answer)
      router.replace(to)
      this.#enter(session)
      return null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  async signIn(username: string, password: string, code: string): Promise<void> {
    const body = { username: username || undefined, password, code: code || undefined }
    this.#enter(await call<Session>('POST', '/api/login', body))
  }

  async signInAsGuest(): Promise<void> {
    this.#enter(await call<Session>('POST', '/api/guest-login'))
  }

  async signOut(): Promise<void> {
    await call('POST', '/api/logout').catch(() => undefined)
    this.leave()
  }

  /** Back to the sign-in page. */
  leave(): void {
    this.expired = false
    this.person = null
    live.clear()
    for (const answer of this.#waiting.splice(0)) answer(false)
  }

  #enter(person: Session): void {
    if (this.person && this.person.username !== person.username) live.clear()
    this.person = person
    this.guestsWelcome = person.demo_mode
    this.provider = person.provider ?? null
    this.expired = false
    for (const answer of this.#waiting.splice(0)) answer(true)
    live.open(() => this.#check())
  }

  /** After the stream was lost: is it the session? */
  async #check(): Promise<boolean> {
    try {
      await read<Session>('/api/session')
      return true
    } catch (error) {
      return error instanceof Problem && error.status !== 401
    }
  }

  #again(): Promise<boolean> {
    if (!this.person) return Promise.resolve(false)
    this.expired = true
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

export const session = new SessionStore()
