/**
 * Browser: Debian's chromium without a window, spoken to by the DevTools protocol over Node's own WebSocket.
 *
 * Interface: `openBrowser()` starts one with a profile of its own in a scratch directory; `visit` loads a page at a width and a
 * colour scheme and tells what the browser had to say and to fetch; `evaluate` asks the page; `close` ends it. It has no network
 * of its own to use: every name is resolved to nothing. Source: https://chromedevtools.github.io/devtools-protocol/.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { type Availability, availability } from './availability.ts'
import { Scratch } from './scratch.ts'

/** Can a page be looked at here? */
export const browserAvailable = (): Availability => availability({ linux: true, programs: { chromium: 'chromium' } })

/** How a page is looked at. */
export interface Look {
  /** CSS pixels. */
  readonly width: number
  readonly scheme: 'light' | 'dark'
}

/** What happened while a page was loaded. */
export interface Visit {
  /** Messages of the console and errors: one line each. */
  readonly console: readonly string[]
  /** Every URL that was asked for, the page's own among them. */
  readonly requests: readonly string[]
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Readonly<Record<string, never>>
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

/** Milliseconds for chromium to come up, and for one answer. */
const PATIENCE = 30_000

/** A running browser with one page. */
export class Browser {
  readonly #process: ChildProcess
  readonly #scratch: Scratch
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (m: Message) => void>()
  readonly #heard = new Set<(m: Message) => void>()
  #session: string | undefined
  #next = 1

  constructor(process: ChildProcess, scratch: Scratch, socket: WebSocket) {
    this.#process = process
    this.#scratch = scratch
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const m = JSON.parse(String(data)) as Message
      if (m.id !== undefined) this.#waiting.get(m.id)?.(m)
      else for (const hear of this.#heard) hear(m)
    })
  }

  /** One command of the protocol. @throws Error with the browser's message */
  async #send<A>(method: string, params: object = {}): Promise<A> {
    const id = this.#next++
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve))
    this.#socket.send(JSON.stringify({ id, method, params, ...(this.#session !== undefined && { sessionId: this.#session }) }))
    const { error, result } = await inTime(answer, method)
    this.#waiting.delete(id)
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result as A
  }

  /** Make the one page. */
  async begin(): Promise<this> {
    const { targetId } = await this.#send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
    this.#session = sessionId
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.#send(`${domain}.enable`)
    return this
  }

  /** Load `url`. */
  async visit(url: string, { width, scheme }: Look): Promise<Visit> {
    const said: string[] = []
    const requests: string[] = []
    await this.#send('Emulation.setDeviceMetricsOverride', { width, height: 800, deviceScaleFactor: 1, mobile: width < 600 })
    await this.#send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    let loaded = (): void => {}
    const load = new Promise<void>((resolve) => void (loaded = resolve))
    const hear = ({ method, params }: Message): void => {
      const p = params as unknown as Record<string, { text?: string; url?: string }>
      if (method === 'Page.loadEventFired') loaded()
      else if (method === 'Network.requestWillBeSent') requests.push(p['request']!.url!)
      else if (method === 'Log.entryAdded') said.push(p['entry']!.text!)
      else if (method === 'Runtime.consoleAPICalled') said.push(JSON.stringify(p['args']))
      else if (method === 'Runtime.exceptionThrown') said.push(p['exceptionDetails']!.text!)
    }
    this.#heard.add(hear)
    try {
      await this.#send('Page.navigate', { url })
      await inTime(load, `loading ${url}`)
      return { console: said, requests }
    } finally {
      this.#heard.delete(hear)
    }
  }

  /** The value of an expression in the page; must be JSON. @throws Error if the page throws */
  async evaluate<A>(expression: string): Promise<A> {
    const options = { expression, returnByValue: true, awaitPromise: true }
    const { result, exceptionDetails } = await this.#send<{ result: { value: A }; exceptionDetails?: { text: string } }>(
      'Runtime.evaluate', options)
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text)
    return result.value
  }

  /** End it, and wait until it is gone. */
  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#socket.close()
    this.#process.kill()
    await gone
    this.#scratch.close()
  }
}

const inTime = async <A>(promise: Promise<A>, what: string): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`chromium: ${what} took more than ${PATIENCE / 1000} s`)), PATIENCE)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Start one. @throws Error if it does not come up */
export const openBrowser = async (): Promise<Browser> => {
  const scratch = new Scratch()
  const args = [
    '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-dev-shm-usage',
    '--host-resolver-rules=MAP * ~NOTFOUND', '--remote-debugging-port=0', `--user-data-dir=${scratch.directory}`, 'about:blank',
  ]
  const child = spawn('chromium', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  scratch.defer(() => void child.kill('SIGKILL'))
  const url = await inTime(new Promise<string>((resolve, reject) => {
    let text = ''
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`chromium ended with ${code}: ${text.slice(-500)}`)))
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const found = /DevTools listening on (ws:\S+)/.exec(text)
      if (found !== null) resolve(found[1]!)
    })
  }), 'its start').catch((e: unknown) => {
    scratch.close()
    throw e
  })
  const socket = new WebSocket(url)
  await inTime(new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error('chromium: the connection was refused')))
  }), 'the connection')
  return new Browser(child, scratch, socket).begin()
}
