'use strict'
// What is drawn: texts, tables that keep their rows, maps of received ranges and curves.
// Everything that comes from the server becomes text or a number, never HTML.

const element = (tag, className = '', text = '') => {
  const node = document.createElement(tag)
  node.className = className
  node.textContent = text
  return node
}

function svg(tag, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return node
}

// put changes a text only where it differs, so that selections and readers are not disturbed.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text
}

function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let i = 0
  for (; n >= 999.5 && i < units.length - 1; i++) n /= 1000
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`
}

const clock = ms => new Date(ms).toLocaleTimeString('en-GB')
const perSecond = n => `${n >= 10 ? Math.round(n) : +n.toFixed(1)}/s`
const count = (n, one, many = one + 's') => `${n.toLocaleString('en')} ${n === 1 ? one : many}`
const share = row => (row.size > 0 ? `${Math.floor((100 * row.received) / row.size)} %` : '')

// drawMap draws the digits of a map as rectangles: those of equal digits side by side are one.
function drawMap(node, row) {
  if (node.dataset.map === row.map) return
  node.dataset.map = row.map
  node.replaceChildren()
  for (const run of row.map.matchAll(/([1-9])\1*/g)) {
    node.append(svg('rect', { x: run.index, y: 0, width: run[0].length, height: 10, 'fill-opacity': Number(run[1]) / 9 }))
  }
}

const newMap = row => svg('svg', { class: 'map', viewBox: `0 0 ${row.map.length} 10`, preserveAspectRatio: 'none', role: 'img' })

// Table keeps a row for each key. A column has a title, a class, and a function that fills a
// cell, or returns its text.
class Table {
  constructor(id, columns, empty) {
    this.columns = columns
    this.rows = new Map()
    const table = document.getElementById(id)
    const head = element('tr')
    for (const [title, className] of columns) {
      const cell = element('th', className, title)
      cell.scope = 'col'
      head.append(cell)
    }
    this.body = element('tbody')
    this.empty = element('tr')
    const cell = element('td', 'empty', empty)
    cell.colSpan = columns.length
    this.empty.append(cell)
    const thead = element('thead')
    thead.append(head)
    table.append(thead, this.body)
  }

  show(rows, empty) {
    const shown = new Set(rows.map(row => row.id))
    for (const [id, tr] of this.rows) {
      if (shown.has(id)) continue
      tr.remove()
      this.rows.delete(id)
    }
    rows.forEach((row, i) => {
      let tr = this.rows.get(row.id)
      if (!tr) {
        tr = element('tr')
        tr.append(...this.columns.map(([, className]) => element('td', className)))
        this.rows.set(row.id, tr)
      }
      this.columns.forEach(([, , fill], n) => {
        const text = fill(row, tr.children[n])
        if (typeof text === 'string') put(tr.children[n], text)
      })
      if (this.body.children[i] !== tr) this.body.insertBefore(tr, this.body.children[i] ?? null)
    })
    if (empty) put(this.empty.firstChild, empty)
    if (rows.length) this.empty.remove()
    else this.body.append(this.empty)
  }
}

// points returns the coordinates of a curve, the latest at the right.
function points(values, most, length) {
  return values.map((value, i) => `${length - values.length + i},${(38 - (36 * value) / (most || 1)).toFixed(1)}`)
}

// Curve draws measurements: the first series filled, the others as lines.
class Curve {
  constructor(title) {
    this.node = element('div', 'curve')
    this.title = title
    this.value = element('span', 'value')
    this.more = element('span', 'dim more')
    this.svg = svg('svg', { viewBox: '0 0 199 40', preserveAspectRatio: 'none', role: 'img' })
    const head = element('div')
    head.append(element('span', 'dim', title + ' '), this.value, this.more)
    this.node.append(head, this.svg)
  }

  show({ series, most, text, more = '', label }) {
    put(this.value, text)
    put(this.more, more)
    this.svg.setAttribute('aria-label', `${this.title}: ${label}`)
    const lines = series.map(([values, className]) => svg('polyline', { points: points(values, most, 200).join(' '), class: className }))
    const [first] = series
    const area = points(first[0], most, 200)
    if (first[1] === '' && area.length) area.push('199,40', `${200 - area.length},40`)
    this.svg.replaceChildren(...(first[1] === '' ? [svg('polygon', { points: area.join(' ') })] : []), ...lines)
  }
}
