'use strict'
// The page: it shows each state that the server sends, and retries deliveries.

const find = id => document.getElementById(id)

// Columns of tables: a title, a class, and what fills a cell.

let now = 0 // by the clock of the server

function fillName(row, cell) {
  if (!cell.firstChild) cell.append(element('bdi', 'name'), element('div', 'id'))
  put(cell.firstChild, row.name || row.id)
  put(cell.lastChild, row.name ? row.id : '')
}

function fillMap(row, cell) {
  if (!cell.firstChild) cell.append(newMap(row))
  drawMap(cell.firstChild, row)
  cell.firstChild.setAttribute('aria-label', `${share(row) || bytes(row.received)} received in ${count(row.ranges, 'range')}`)
}

const name = ['Upload', 'upload', fillName]
const map = ['Received', 'wide', fillMap]
const owner = ['Owner', '', row => row.owner || '–']
const size = ['Size', 'number', row => (row.size < 0 ? `${bytes(row.received)} of ?` : bytes(row.size))]
const part = ['%', 'number', row => share(row)]
const protocol = ['Protocol', 'short', row => row.protocol || '–']
const node = ['Node', '', row => row.node || '–']
const age = ['Age', 'number', row => duration(now - row.created)]
const ago = title => [title, 'number', row => (row.last ? duration(now - row.last) + ' ago' : '–')]

const tables = {
  receiving: new Table('receiving', [name, map, part, size, ['Rate', 'number', row => bytes(row.rate) + '/s'], protocol, node, age, ago('Last bytes'), owner], 'Nothing is being received.'),
  deliveries: new Table('deliveries', [name, ['State', '', row => row.deadLettered ? 'dead-lettered: no more attempts' : 'pending: retried automatically'], size, ago('Finished'), owner, ['', 'number', fillRetry]], ''),
  waiting: new Table('waiting', [name, map, part, size, ago('Last bytes'), age, ['Expires', 'number', row => (row.expires ? 'in ' + duration(row.expires - now) : 'never')], owner], 'Not listed yet.'),
  finished: new Table('finished', [name, size, ['Took', 'number', row => duration(row.last - row.created)], protocol, node, ago('Finished'), owner], 'None.'),
}

// Deliveries are retried by POST, which only this page's own origin may send.

const retries = new Map() // by id: {state, text, at}

function fillRetry(row, cell) {
  if (!cell.firstChild) {
    const line = element('div', 'row')
    const button = element('button', '', 'Retry')
    button.type = 'button'
    button.setAttribute('aria-label', `Retry the delivery of ${row.name || row.id}`)
    button.onclick = () => retries.get(row.id)?.state === 'running' || retry([row.id])
    line.append(element('span', 'dim'), button)
    cell.append(line)
  }
  const known = retries.get(row.id)
  const [text, button] = cell.firstChild.children
  put(text, known ? known.text : '')
  cell.classList.toggle('bad', known?.state === 'failed')
  button.setAttribute('aria-disabled', known?.state === 'running') // a disabled one would lose the focus
}

// retry delivers these uploads now, or all that are pending if there are none.
async function retry(ids) {
  const query = new URLSearchParams(ids.map(id => ['id', id]))
  ids.forEach(id => retries.set(id, { state: 'running', text: 'Delivering', at: now }))
  show(last)
  const found = []
  try {
    const response = await fetch('deliveries/retry?' + query, { method: 'POST' })
    const text = await response.text()
    if (!response.ok) throw new Error(text.trim())
    for (const line of text.trim().split('\n').filter(Boolean).map(JSON.parse)) {
      found.push(line)
      if (line.id) retries.set(line.id, line.delivered ? { state: 'done', text: 'Delivered', at: now } : { state: 'failed', text: `Failed: ${line.error}`, at: now })
    }
  } catch (err) {
    found.push({ error: err.message })
    ids.forEach(id => retries.set(id, { state: 'failed', text: `Failed: ${err.message}`, at: now }))
  }
  const failed = found.filter(line => !line.delivered)
  put(find('retried'), `${clock(now)}: ${found.length - failed.length} delivered, ${failed.length} not.` + (failed.length ? ` ${failed[0].id ?? ''} ${failed[0].error}` : ''))
  show(last)
}

// Health.

function tile(key, title, state, main, more = []) {
  const list = find('health')
  let node = list.querySelector(`[data-key=${key}]`)
  if (!node) {
    node = element('div')
    node.dataset.key = key
    list.append(node)
  }
  const text = [state, title, main, ...more].join('\n')
  if (node.dataset.text === text) return
  node.dataset.text = text
  node.className = state
  node.replaceChildren(element('dt', '', title), element('dd', 'main', main), ...more.map(line => element('dd', 'more', line)))
}

// showChecks shows what the nodes found of one thing that they all use.
function showChecks(key, title, nodes, of, none) {
  const used = nodes.filter(n => of(n).used)
  const failing = used.filter(n => of(n).failing)
  if (!used.length) return tile(key, title, '', 'None', [none])
  if (failing.length) {
    const where = nodes.length > 1 ? `Fails on ${failing.length} of ${count(used.length, 'node')}` : 'Fails'
    return tile(key, title, 'bad', where, failing.map(n => `${nodes.length > 1 ? n.name + ': ' : ''}since ${clock(of(n).failing)} or earlier: ${of(n).error}`))
  }
  if (used.some(n => !of(n).checked)) return tile(key, title, '', 'Not checked yet')
  tile(key, title, 'good', nodes.length > 1 ? `Works on ${count(used.length, 'node')}` : 'Works', [`checked at ${clock(Math.min(...used.map(n => of(n).checked)))}`])
}

function showHealth({ nodes, store, listing, missing = 0, error }) {
  showChecks('store', `Store: ${store}`, nodes, n => n.store, '')
  showChecks('redis', 'Redis', nodes, n => n.shared, 'This process works by itself.')
  const leaving = nodes.filter(n => n.shuttingDown).map(n => `${n.name} is shutting down`)
  const lost = missing ? [`${count(missing, 'more node')} of this Redis ${missing === 1 ? 'shows' : 'show'} nothing: it may have been killed`] : []
  const unread = error ? [`Others cannot be shown: ${error}`] : []
  tile('nodes', 'Nodes', error || missing ? 'bad' : leaving.length ? 'warn' : 'good', count(nodes.length, 'node'), [...unread, ...lost, ...leaving])
  const sum = of => nodes.reduce((n, { deliveries }) => n + deliveries[of], 0)
  const { pendingCount, deadCount, delivers, at } = listing
  if (!at) return tile('deliveries', 'Deliveries', '', 'Not listed yet')
  if (!delivers && !pendingCount && !deadCount) return tile('deliveries', 'Deliveries', '', 'None', ['No app is configured.'])
  tile('deliveries', 'Deliveries', deadCount ? 'bad' : pendingCount ? 'warn' : 'good', deadCount ? `${deadCount} dead-lettered` : pendingCount ? `${pendingCount} pending` : 'All delivered',
    [`${pendingCount} pending, ${deadCount} dead-lettered in the store`, `since the start of ${nodes.length > 1 ? 'these nodes' : 'this node'}: ${sum('Delivered')} delivered, ${sum('Failed')} failed attempts`])
}

// Nodes and their curves.

const cards = new Map() // by name

function newCard() {
  const node = element('article', 'node')
  const head = element('h3')
  const grid = element('div', 'curves')
  const curves = ['Received', 'Requests', 'Failures', 'Memory budget'].map(title => new Curve(title))
  grid.append(...curves.map(curve => curve.node))
  head.append(element('span'), element('small', 'dim'), element('small', 'bad'))
  node.append(head, grid)
  return { node, head, curves }
}

function showNode(n) {
  const card = cards.get(n.name) ?? newCard()
  cards.set(n.name, card)
  const [title, more, alarm] = card.head.children
  put(title, n.name)
  put(more, `up for ${duration(n.at - n.started)}, ${count(n.inFlight, 'request')} in flight`)
  put(alarm, n.shuttingDown ? 'is shutting down' : now - n.at > 5000 ? `last report ${duration(now - n.at)} ago` : '')
  const { rate, requests, failed, refused, interrupted, memory } = n.curves
  const [r, q, f, m] = card.curves
  const end = values => values?.at(-1) ?? 0
  const most = (...all) => Math.max(0, ...all.flatMap(values => values ?? []))
  const line = (curve, values, format, least) =>
    curve.show({ series: [[values ?? [], '']], most: Math.max(least, most(values)), text: format(end(values)), more: `at most ${format(most(values))}`, label: `now ${format(end(values))}, at most ${format(most(values))}` })
  line(r, rate, n => bytes(n) + '/s', 1000)
  line(q, requests, perSecond, 1)
  const other = (refused ?? []).map((n, i) => n + interrupted[i])
  f.show({
    series: [[other, 'other'], [failed ?? [], 'failed']], most: Math.max(1, most(failed, other)), text: perSecond(end(failed)),
    more: `and ${perSecond(end(refused))} refused, ${perSecond(end(interrupted))} broken off`, label: `now ${perSecond(end(failed))}, at most ${perSecond(most(failed))}`,
  })
  const budget = n.memoryLimit ? `${bytes(end(memory))} of ${bytes(n.memoryLimit)}` : 'no limit'
  m.show({ series: [[memory ?? [], '']], most: n.memoryLimit || 1, text: budget, label: `${budget}, at most ${bytes(most(memory))}` })
  return card.node
}

function showNodes(nodes) {
  const known = new Set(nodes.map(n => n.name))
  for (const [name, card] of cards) {
    if (!known.has(name)) {
      card.node.remove()
      cards.delete(name)
    }
  }
  nodes.map(showNode).forEach((node, i) => find('nodes').children[i] === node || find('nodes').insertBefore(node, find('nodes').children[i] ?? null))
}

// States.

let last = null
let lastAt = 0 // by the clock of this page

function listed({ at, error, failing }, total, shown) {
  if (!at) return ''
  const when = `as listed at ${clock(at)}`
  return [count(total, 'upload'), total > shown ? `the first ${shown} are shown` : '', when, error ? `incomplete, the store cannot be listed since ${clock(failing)}: ${error}` : ''].filter(Boolean).join(', ')
}

function show(state) {
  if (!state) return
  last = state
  now = state.now
  const receiving = state.receiving ?? []
  const finished = state.finished ?? []
  const { listing } = state
  put(find('where'), `${state.node}, ${state.store}`)
  document.title = receiving.length ? `(${receiving.length}) holdfast` : 'holdfast'
  showHealth(state)
  showNodes(state.nodes)

  tables.receiving.show(receiving)
  put(find('n-receiving'), `${count(receiving.length, 'upload')}, ${bytes(receiving.reduce((n, row) => n + row.rate, 0))}/s stored` + (state.full ? ', and more than are shown' : ''))

  const busy = new Set([...receiving, ...finished].map(row => row.id))
  const waiting = (listing.waiting ?? []).filter(row => !busy.has(row.id))
  tables.waiting.show(waiting, listing.at ? 'None.' : 'Not listed yet.')
  put(find('n-waiting'), listed(listing, (listing.waitingCount ?? 0) - ((listing.waiting ?? []).length - waiting.length), waiting.length))

  const gone = row => retries.get(row.id)?.state === 'done' && retries.get(row.id).at > listing.at
  const deliveries = (listing.deliveries ?? []).filter(row => !gone(row))
  const open = (listing.pendingCount ?? 0) + (listing.deadCount ?? 0)
  tables.deliveries.show(deliveries, !listing.at ? 'Not listed yet.' : listing.delivers ? 'None is pending.' : 'No app is configured.')
  put(find('n-deliveries'), listed(listing, open, (listing.deliveries ?? []).length))
  find('retry-all').hidden = deliveries.length === 0

  tables.finished.show(finished)
  const since = Math.max(...state.nodes.map(n => n.started))
  put(find('n-finished'), count(finished.length, 'upload') + (now - since < 3_600_000 ? `, since the start of a node at ${clock(since)} at the latest` : ''))
}

function showConnection() {
  const late = Date.now() - lastAt > 10_000
  find('connection').className = 'badge ' + (late ? 'bad' : 'good')
  put(find('connection'), late ? 'Not connected' : 'Live')
  find('alert').hidden = !late
  document.body.classList.toggle('stale', late)
  put(find('alert'), late ? (lastAt ? `This node has not answered since ${clock(lastAt)}. What you see is from then.` : 'This node does not answer.') : '')
}

function connect() {
  const events = new EventSource('console/events')
  events.onmessage = e => {
    lastAt = Date.now()
    show(JSON.parse(e.data))
    showConnection()
  }
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 5000) // it was refused
  }
}

find('retry-all').onclick = async () => {
  find('retry-all').disabled = true
  put(find('retried'), 'Delivering all.')
  await retry([])
  find('retry-all').disabled = false
}
setTimeout(() => setInterval(showConnection, 1000), 3000)
connect()
