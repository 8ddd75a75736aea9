// Which of the overlays that a key opens is open.

class Overlays {
  open = $state<'palette' | 'help' | null>(null)
}

export const overlays = new Overlays()
