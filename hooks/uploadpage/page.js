'use strict'
// The page: which files there are, what is shown of them, and what the page remembers.
//
// Remembered are, in localStorage, the ids of unfinished uploads by the name, size and time of
// their files; and in sessionStorage, for this tab alone, the token and the tickets.

const filesAtOnce = 2
const rememberedFor = 14 * 86_400_000 // milliseconds
const rememberedMost = 100

const find = id => document.getElementById(id)
const uploads = new URL('../', document.baseURI)
const storageKey = 'holdfast:' + uploads.pathname

// stored reads and writes JSON in a storage, which a browser may have turned off.
const stored = {
  get(storage, key, otherwise) {
    try {
      return JSON.parse(window[storage].getItem(key)) ?? otherwise
    } catch {
      return otherwise
    }
  },
  set(storage, key, value) {
    try {
      window[storage].setItem(key, JSON.stringify(value))
    } catch {} // then nothing is remembered
  },
}

// access has the credentials: a token, the ticket of a link, which is for one upload, and
// tickets that the server issued.
const access = {
  token: '',
  link: null,
  tickets: {},
  ...stored.get('sessionStorage', storageKey, {}),
  url: id => new URL(encodeURIComponent(id), uploads).href,
  headers(id) {
    const ticket = this.link ? this.link.ticket : this.tickets[id]
    return { ...(this.token && { Authorization: 'Bearer ' + this.token }), ...(ticket && { 'Upload-Ticket': ticket }) }
  },
  created(transfer, ticket) {
    if (ticket) this.tickets[transfer.id] = ticket
    this.save()
    remember(transfer)
  },
  finished(transfer) {
    delete this.tickets[transfer.id]
    this.save()
  },
  save() {
    const { token, link, tickets } = this
    stored.set('sessionStorage', storageKey, { token, link, tickets })
  },
}

// readFragment takes a token or a ticket from the fragment of the URL, which no server sees,
// and removes it there.
function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1))
  if (!given.has('token') && !given.has('ticket')) return
  history.replaceState(null, '', location.pathname + location.search)
  if (given.get('token')) access.token = given.get('token')
  const ticket = given.get('ticket')
  if (ticket) {
    try {
      const claims = JSON.parse(atob(ticket.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')))
      access.link = { ticket, id: String(claims.upload) }
    } catch {
      say('This link is damaged: its ticket cannot be read.')
    }
  }
  access.save()
}

// What is remembered of unfinished uploads.

const fingerprint = file => [file.name, file.size, file.lastModified].join('|')
const remembered = () => stored.get('localStorage', storageKey, {})

function remember(transfer) {
  const all = Object.entries({ ...remembered(), [fingerprint(transfer.file)]: { id: transfer.id, name: transfer.file.name, size: transfer.file.size, link: Boolean(access.link), at: Date.now() } })
  const fresh = all.filter(([, known]) => Date.now() - known.at < rememberedFor).slice(-rememberedMost)
  stored.set('localStorage', storageKey, Object.fromEntries(fresh))
}

function forget(key) {
  const all = remembered()
  delete all[key]
  stored.set('localStorage', storageKey, all)
}

// isOurs reports whether a remembered upload belongs to the page as it was opened: by a link
// or without.
const isOurs = known => (access.link ? known.id === access.link.id : !known.link)

// What is shown.

const rows = new Map() // by fingerprint: {key, node, known, transfer, samples}

function say(text) {
  find('message').textContent = text
  find('message').hidden = !text
}

const announce = text => (find('announce').textContent = text)

function bytes(n) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  for (; n >= 999.5 && i < units.length - 1; i++) n /= 1000
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

function duration(s) {
  if (s < 60) return `${Math.max(1, Math.round(s))} s`
  if (s < 3600) return `${Math.round(s / 60)} min`
  return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`
}

// rate returns the bytes per second of the last ten seconds.
function rate(row) {
  const now = { at: performance.now(), sent: row.transfer.sent }
  row.samples = row.samples.filter(s => now.at - s.at < 10_000).concat(now)
  const [first] = row.samples
  return now.at - first.at < 500 ? 0 : Math.max(0, ((now.sent - first.sent) * 1000) / (now.at - first.at))
}

function describe(row) {
  const { transfer, known } = row
  if (!transfer) return `${Math.floor((100 * known.stored) / (known.size || 1))} % is on the server. Choose the same file again to go on.`
  const { state, sent, file } = transfer
  const share = `${Math.floor((100 * sent) / (file.size || 1))} %, ${bytes(sent)} of ${bytes(file.size)}`
  const speed = rate(row)
  switch (state) {
    case 'waiting': return 'Waits for the files before it.'
    case 'running':
      if (sent >= file.size) return 'All is sent. The server is putting the file together.'
      return share + (speed > 0 ? `, ${bytes(speed)}/s, ${duration((file.size - sent) / speed)} left` : '')
    case 'retrying': return `${transfer.why} Next attempt in ${duration((transfer.retryAt - Date.now()) / 1000)}. ${share} is kept.`
    case 'paused': return `Paused. ${share}.`
    case 'done': return transfer.why || 'Uploaded: the server has the whole file.'
  }
  return transfer.why
}

function draw(row) {
  const { node, transfer, known } = row
  const state = transfer ? transfer.state : 'known'
  const part = name => node.querySelector(name)
  node.className = state
  const size = transfer ? transfer.file.size : known.size
  const text = describe(row)
  if (part('.state').textContent !== text) part('.state').textContent = text
  part('progress').value = state === 'done' ? 1 : (transfer ? transfer.sent : known.stored) / (size || 1)
  const toggle = part('.toggle')
  toggle.textContent = { running: 'Pause', waiting: 'Pause', retrying: 'Retry now', failed: 'Try again', known: 'Choose the file' }[state] || 'Resume'
  toggle.hidden = state === 'done'
  part('.remove').textContent = state === 'done' ? 'Remove from list' : 'Cancel'
}

function addRow(key, name, size, content) {
  const node = find('upload').content.firstElementChild.cloneNode(true)
  const row = { key, node, samples: [], ...content }
  node.querySelector('.name').textContent = name
  node.querySelector('.size').textContent = bytes(size)
  node.querySelector('progress').setAttribute('aria-label', name)
  const [toggle, remove] = node.querySelectorAll('button')
  toggle.setAttribute('aria-describedby', (node.querySelector('.name').id = 'name-' + rows.size + '-' + Date.now()))
  remove.setAttribute('aria-describedby', node.querySelector('.name').id)
  toggle.onclick = () => press(row)
  remove.onclick = () => removeRow(row)
  rows.set(key, row)
  find('list').append(node)
  draw(row)
  return row
}

function press({ transfer }) {
  if (!transfer) return find('files').click()
  switch (transfer.state) {
    case 'running': case 'waiting': transfer.halt('paused'); break
    case 'retrying': transfer.retryNow(); break
    default: transfer.set('waiting')
  }
  pump()
}

async function removeRow(row) {
  row.node.remove()
  rows.delete(row.key)
  forget(row.key)
  find('choose').focus()
  const { transfer, known } = row
  if (transfer && transfer.state === 'done') return
  try {
    await (transfer || new Transfer(new File([], known.name), access, known.id, () => {})).remove()
    announce('Canceled, and removed from the server.')
  } catch (err) {
    say(`Canceled. What was sent stays on the server until it expires. ${err.message}`)
  }
  pump()
}

// What happens.

function changed(transfer) {
  const row = rows.get(fingerprint(transfer.file))
  if (!row) return
  const { name } = transfer.file
  if (row.drawn !== transfer.state) {
    row.drawn = transfer.state
    if (transfer.state === 'done') {
      forget(row.key)
      access.finished(transfer)
      announce(`${name} is uploaded.`)
    }
    if (transfer.state === 'failed') announce(`${name}: ${transfer.why}`)
    if (transfer.state === 'locked') askForToken(transfer.why)
    draw(row)
  }
}

function askForToken(why) {
  find('access-why').textContent = why
  if (find('access').hidden) {
    find('access').hidden = false
    find('token').focus()
  }
}

// pump starts as many transfers as may run.
function pump() {
  const all = [...rows.values()].map(row => row.transfer).filter(Boolean)
  let free = filesAtOnce - all.filter(t => t.state === 'running' || t.state === 'retrying').length
  for (const transfer of all) {
    if (free > 0 && transfer.state === 'waiting') {
      free--
      transfer.run().finally(pump)
    }
  }
}

function add(files) {
  say('')
  const linked = access.link && Object.entries(remembered()).find(([, known]) => isOurs(known))
  if (access.link && files.length > 1) return say('This link is for one file.')
  for (const file of files) {
    const key = fingerprint(file)
    const row = rows.get(key)
    if (linked && linked[0] !== key) return say(`A part of ${linked[1].name} was sent by this link. Choose that file, or cancel it first.`)
    if (row && row.transfer) {
      if (['failed', 'paused'].includes(row.transfer.state)) {
        row.transfer.file = file
        row.transfer.set('waiting')
      }
      continue
    }
    if (access.link && [...rows.values()].some(r => r.transfer)) return say('This link is for one file.')
    const known = remembered()[key]
    const transfer = new Transfer(file, access, access.link ? access.link.id : known && isOurs(known) ? known.id : '', changed)
    if (access.link) {
      transfer.begun = Boolean(linked)
      remember(transfer)
    }
    if (row) {
      row.transfer = transfer
      draw(row)
    } else {
      addRow(key, file.name, file.size, { transfer })
    }
  }
  pump()
}

// showRemembered shows the unfinished uploads of earlier visits that the server still has.
async function showRemembered() {
  for (const [key, known] of Object.entries(remembered())) {
    if (!isOurs(known)) continue
    let stored = 0
    try {
      const { status, responseText } = await send('GET', access.url(known.id) + '?state', { headers: access.headers(known.id) })
      const state = status === 200 ? JSON.parse(responseText) : null
      if (status === 404 || status === 410 || state?.complete) {
        forget(key)
        continue
      }
      if (state) stored = receivedBytes(state)
    } catch {} // it is asked again once the file is there
    if (!rows.has(key)) addRow(key, known.name, known.size, { known: { ...known, stored } })
  }
}

function start() {
  readFragment()
  addEventListener('hashchange', () => (readFragment(), greet()))
  greet()
  find('choose').onclick = () => find('files').click()
  find('leave').onclick = () => {
    access.link = null
    access.save()
    location.reload()
  }
  find('files').onchange = e => {
    add([...e.target.files])
    e.target.value = ''
  }
  find('access').onsubmit = e => {
    e.preventDefault()
    access.token = find('token').value.trim()
    access.save()
    find('token').value = ''
    find('access').hidden = true
    for (const { transfer } of rows.values()) if (transfer && transfer.state === 'locked') transfer.set('waiting')
    find('choose').focus()
    pump()
  }
  addEventListener('dragover', e => (e.preventDefault(), find('drop').classList.add('over')))
  addEventListener('dragleave', e => e.relatedTarget || find('drop').classList.remove('over'))
  addEventListener('drop', e => {
    e.preventDefault()
    find('drop').classList.remove('over')
    const folders = [...e.dataTransfer.items].filter(i => i.webkitGetAsEntry && i.webkitGetAsEntry()?.isDirectory).map(i => i.webkitGetAsEntry().name)
    add([...e.dataTransfer.files].filter(file => !folders.includes(file.name)))
    if (folders.length) say('Folders cannot be uploaded. Drop the files in them.')
  })
  addEventListener('beforeunload', e => [...rows.values()].some(row => row.transfer && ['running', 'retrying'].includes(row.transfer.state)) && e.preventDefault())
  setInterval(() => [...rows.values()].forEach(row => row.transfer && row.transfer.state !== 'done' && draw(row)), 250)
  showRemembered()
}

// greet shows whether the page was opened by a link.
function greet() {
  find('link').hidden = !access.link
  find('files').multiple = !access.link
}

start()
