// The real parts that the browser tests run against: a controller, agents, and a Docker engine of their own with a
// registry, in a network namespace of its own. Everything ends with the test.
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../../..', import.meta.url))
export const binaries = process.env.ROADSTEAD_BINARIES ?? join(process.env.CARGO_TARGET_DIR ?? join(repository, 'target'), 'debug')

export const PASSWORD = 'a-password-for-tests'

/** Waits until `what` answers something true; fails after `seconds`, saying what it waited for. */
export async function until(words, what, seconds = 30) {
  const end = Date.now() + seconds * 1000
  let last
  while (Date.now() < end) {
    try {
      const answer = await what()
      if (answer) return answer
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`waited ${seconds} s in vain until ${words}`, { cause: last })
}

export class Parts {
  #ended = []

  /** Has something else ended with the rest. */
  ends(end) {
    this.#ended.push(end)
  }

  folder = mkdtempSync(join(tmpdir(), 'roadstead-ui-'))

  /** Ends everything, last started first. */
  async end() {
    for (const end of this.#ended.reverse()) await end()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Starts a program; `answers` is asked for its output so far until it gives something. */
  async #start(name, program, args, env, answers) {
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (bytes) => (output = (output + bytes).slice(-20_000))
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const gone = new Promise((resolve) => child.once('exit', resolve))
    const stop = async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
      await gone
      clearTimeout(timer)
    }
    this.#ended.push(stop)
    const ready = await until(
      `${name} is up`,
      () => {
        if (child.exitCode !== null) throw new Error(`${name} ended:\n${output}`)
        return answers(output)
      },
      60,
    ).catch((error) => {
      throw new Error(`${error.message}\n${error.cause ?? ''}\n${output}`)
    })
    return { stop, ready, output: () => output }
  }

  /**
   * A controller; with `listen` at a certain address, else at any; `config` is its configuration file, `settings` are
   * more environment variables.
   */
  async controller({
    demo = false,
    listen = '127.0.0.1:0',
    agents = '127.0.0.1:0',
    data = 'controller',
    config = '',
    settings = {},
  } = {}) {
    const env = {
      ROADSTEAD_DATA_DIR: join(this.folder, data),
      ROADSTEAD_LISTEN: listen,
      ROADSTEAD_AGENT_LISTEN: agents,
      ROADSTEAD_PASSWORD: PASSWORD,
      ROADSTEAD_LOCAL_AGENT: 'off',
      ROADSTEAD_DEMO_MODE: String(demo),
      ROADSTEAD_DIAL_ALLOW: '127.0.0.0/8',
      ...(config && { ROADSTEAD_CONFIG: config }),
      ...settings,
    }
    const started = await this.#start('the controller', join(binaries, 'roadstead-controller'), [], env, (output) => {
      const [web, dial] = [/is up: (\S+)/.exec(output), /dial in at wss:\/\/(\S+)/.exec(output)]
      return web && dial && { url: web[1], agents: dial[1] }
    })
    return { ...started, ...started.ready }
  }

  /** An agent; `env` carries its join token. */
  agent(name, engine, env) {
    const all = {
      ROADSTEAD_DATA_DIR: join(this.folder, `agent-${name}`),
      ROADSTEAD_INSTANCE_NAME: name,
      DOCKER_HOST: engine.host,
      ...env,
    }
    return this.#start(`the agent ${name}`, join(binaries, 'roadstead-agent'), [], all, () => true)
  }

  /** A Docker engine, with a registry at 127.0.0.1:5000 as it sees it. */
  async engine(name = 'engine') {
    const folder = join(this.folder, name)
    mkdirSync(folder)
    const registry = join(folder, 'registry.yml')
    const storage = `storage:\n  filesystem:\n    rootdirectory: ${folder}/registry\n`
    writeFileSync(registry, `version: 0.1\n${storage}http:\n  addr: 127.0.0.1:5000\n`)
    writeFileSync(join(folder, 'daemon.json'), '{}')
    const script = `
      ip link set lo up && mount -t proc proc /proc
      docker-registry serve ${registry} >${folder}/registry.log 2>&1 &
      exec dockerd --host unix://${folder}/docker.sock --data-root ${folder}/data --exec-root ${folder}/exec \
        --pidfile ${folder}/docker.pid --config-file ${folder}/daemon.json --iptables=false --ip6tables=false \
        --bridge=none --group=root --default-address-pool base=10.213.0.0/16,size=24`
    const host = `unix://${folder}/docker.sock`
    const args = ['--mount', '--pid', '--net', '--fork', '--kill-child', 'sh', '-c', script]
    const path = `${process.env.PATH}:/usr/sbin:/sbin`
    const docker = async (...words) => (await run('docker', ['--host', host, ...words], { env: { ...process.env, PATH: path } })).stdout.trim()
    const started = await this.#start('dockerd', 'unshare', args, { PATH: path }, () => docker('info').then(() => true))
    this.#ended.push(async () => {
      // Mounts of containers would keep the folder from being removed.
      const ids = await docker('ps', '--quiet', '--all').catch(() => '')
      if (ids) await docker('rm', '--force', ...ids.split('\n')).catch(() => undefined)
    })
    return { ...started, host, folder, docker, image: (name, marker, command) => image(folder, docker, name, marker, command) }
  }

  /** Registers a host as whoever is signed in to `page` and starts its agent; answers with its id. */
  async host(page, name, engine, env = {}) {
    const origin = new URL(page.url()).origin
    const answer = await page.request.post('/api/instances', { data: { name }, headers: { origin } })
    if (!answer.ok()) throw new Error(`${name} was not registered: ${await answer.text()}`)
    const { instance, join } = await answer.json()
    const agent = await this.agent(name, engine, { ROADSTEAD_JOIN: join.token, ...env })
    return { id: instance.id, agent }
  }

  /** A compose project on `engine`. */
  async compose(engine, project, text) {
    const folder = join(engine.folder, project)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'docker-compose.yml'), text)
    const env = { ...process.env, DOCKER_HOST: engine.host }
    await run('docker-compose', ['--project-name', project, 'up', '--detach'], { cwd: folder, env })
  }
}

/** Somebody in the middle of a link who can hold back every byte without closing anything, as a dead network does. */
export async function cuttable(target) {
  const [host, port] = target.split(':')
  const pairs = new Set()
  let cut = false
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port) })
    const pair = [near, far]
    pairs.add(pair)
    for (const [from, to] of [pair, [far, near]]) {
      from.on('data', (bytes) => cut || to.write(bytes))
      from.on('error', () => undefined)
      from.on('close', () => {
        if (!cut) to.destroy()
        pairs.delete(pair)
      })
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${server.address().port}`,
    cut: () => (cut = true),
    heal: () => (cut = false),
    close: () => {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port that nobody listens on just now. */
export async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** An image with nothing but busybox, pushed to the engine's registry. `marker` makes it differ from others. */
async function image(folder, docker, name, marker, command = ['/bin/busybox', 'sleep', '1000000']) {
  const root = join(folder, `image-${Math.random().toString(36).slice(2)}`)
  mkdirSync(join(root, 'bin'), { recursive: true })
  const { stdout } = await run('sh', ['-c', 'command -v busybox'])
  await run('cp', [stdout.trim(), join(root, 'bin', 'busybox')])
  writeFileSync(join(root, 'marker'), marker)
  const tar = `${root}.tar`
  await run('tar', ['-C', root, '-cf', tar, '.'])
  const reference = `127.0.0.1:5000/${name}`
  await docker('import', '--change', `CMD ${JSON.stringify(command)}`, tar, reference)
  await docker('push', reference)
  return reference
}
