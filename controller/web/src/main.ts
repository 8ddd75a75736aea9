import { mount } from 'svelte'
import App from './App.svelte'
import { restoreLanguage } from './i18n/i18n.svelte'
import './lib/preferences.svelte'
import { session } from './lib/session.svelte'
import './styles/base.css'
import './styles/parts.css'

const target = document.getElementById('app')
if (target) {
  await Promise.all([restoreLanguage(), session.look()])
  mount(App, { target })
}
