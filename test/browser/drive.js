// Drives Chromium for tests: reads commands from standard input and answers each on standard
// output, one JSON value in a line. A command has an id, the name of a page, what to do with
// it, and arguments; the answer has the id and a result or an error. A page lives in a browser
// context of its own, and is opened by its first command. Ends with its input.
'use strict'

const readline = require('readline')
const { chromium } = require('playwright-core')

const browser = chromium.launch({ executablePath: process.argv[2], args: ['--disable-dev-shm-usage', '--disable-gpu'] })
const pages = new Map() // by name

async function open(name, options = {}) {
  const context = await (await browser).newContext({ viewport: { width: 1200, height: 800 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const entry = { context, page, problems: [], cdp: await context.newCDPSession(page) }
  page.on('pageerror', err => entry.problems.push(String(err)))
  page.on('dialog', dialog => {
    if (dialog.type() !== 'beforeunload') entry.problems.push(`dialog: ${dialog.message()}`)
    dialog.accept()
  })
  page.on('console', message => {
    if (/Content Security Policy|Trusted/.test(message.text())) entry.problems.push(message.text())
  })
  return entry
}

const commands = {
  open: () => null,
  goto: ({ page }, url) => page.goto(url).then(() => null),
  reload: ({ page }) => page.reload().then(() => null),
  url: ({ page }) => page.url(),
  click: ({ page }, selector) => page.click(selector),
  press: ({ page }, key) => page.keyboard.press(key),
  type: ({ page }, text) => page.keyboard.type(text),
  text: ({ page }, selector) => page.locator(selector).allInnerTexts(),
  choose: ({ page }, selector, files) => page.setInputFiles(selector, files),
  evaluate: ({ page }, code) => page.evaluate(code),

  // Waits until an expression is true, and reports whether that was within a minute.
  async until({ page }, code) {
    for (const end = Date.now() + 60_000; Date.now() < end; await new Promise(resolve => setTimeout(resolve, 200))) {
      if (await page.evaluate(code)) return true
    }
    return false
  },
  problems: ({ problems }) => problems,
  screenshot: ({ page }, path) => page.screenshot({ path, fullPage: true }).then(() => null),
  dark: ({ page }, dark) => page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' }),
  close: ({ context }) => context.close(),

  // Sends no more than so many bytes in a second, 0 for no limit, or nothing while offline.
  line: ({ cdp }, uploadThroughput, offline) =>
    cdp.send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: uploadThroughput || -1 }).then(() => null),

  // Drops files of the disk as a person does.
  async drop({ page, cdp }, selector, files) {
    const box = await page.locator(selector).boundingBox()
    const at = { x: box.x + box.width / 2, y: box.y + box.height / 2, data: { items: [], files, dragOperationsMask: 1 } }
    for (const type of ['dragEnter', 'dragOver', 'drop']) await cdp.send('Input.dispatchDragEvent', { type, ...at })
    return null
  },
}

async function run({ id, page, command, args = [] }) {
  try {
    if (!pages.has(page)) pages.set(page, open(page, command === 'open' ? args[0] : {}))
    const result = await commands[command](await pages.get(page), ...args)
    console.log(JSON.stringify({ id, result: result ?? null }))
  } catch (err) {
    console.log(JSON.stringify({ id, error: String(err) }))
  }
}

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', line => run(JSON.parse(line)))
lines.on('close', async () => {
  await (await browser).close()
  process.exit(0)
})
