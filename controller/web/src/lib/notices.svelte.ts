// Short messages about what was just done; they go away by themselves, those about failures stay longer.

export interface Notice {
  id: number
  text: string
  bad: boolean
  href?: string
}

const LIFE = 6000

class Notices {
  list = $state<Notice[]>([])
  #next = 0

  tell(text: string, href?: string): void {
    this.#add({ id: this.#next++, text, bad: false, href }, LIFE)
  }

  fail(error: unknown): void {
    this.#add({ id: this.#next++, text: message(error), bad: true }, LIFE * 2)
  }

  dismiss(id: number): void {
    this.list = this.list.filter((one) => one.id !== id)
  }

  #add(notice: Notice, life: number): void {
    this.list = [...this.list.slice(-4), notice]
    setTimeout(() => this.dismiss(notice.id), life)
  }
}

/** What an error says. */
export const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export const notices = new Notices()
