'use strict'
// Transfer sends one file: it asks the server what it lacks, sends that in chunks, and after
// each failure asks again. Uploads are created by tus, so that the server chooses their ids,
// and sent by PUT with a Content-Range, so that chunks may arrive in any order.

const chunkLength = 16 * 1024 * 1024 // bytes
const streams = 2 // chunks of one file at once
const stalledAfter = 60_000 // milliseconds without a byte sent
const answeredWithin = 120_000 // milliseconds from the last byte sent to the response

// Interruption is a failure after which the same request may succeed.
class Interruption extends Error {
  constructor(message, wait = 0) {
    super(message)
    this.wait = wait // at least so many milliseconds
  }
}

// Refusal is a failure that a repetition does not mend.
class Refusal extends Error {
  constructor(message, status = 0) {
    super(message)
    this.status = status
  }
}

// send makes a request, and resolves to its XMLHttpRequest, whatever the status. fetch does
// not report how much of a body is sent.
function send(method, url, { headers = {}, body = null, progress = () => {}, signal = new AbortController().signal }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest()
    const stop = () => xhr.abort()
    let alarm = 0
    const within = ms => {
      clearTimeout(alarm)
      alarm = setTimeout(stop, ms)
    }
    const end = then => {
      clearTimeout(alarm)
      signal.removeEventListener('abort', stop)
      then()
    }
    xhr.upload.onprogress = e => {
      within(stalledAfter)
      progress(e.loaded)
    }
    xhr.upload.onload = () => within(answeredWithin)
    xhr.onload = () => end(() => resolve(xhr))
    xhr.onerror = xhr.onabort = () => end(() => reject(new Interruption('No connection to the server.')))
    xhr.open(method, url)
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value)
    signal.addEventListener('abort', stop)
    within(stalledAfter)
    xhr.send(body)
    if (signal.aborted) stop()
  })
}

// failure returns the error for a response that is no success.
function failure(xhr) {
  const status = xhr.status
  let said = xhr.responseText
  try {
    const { error } = JSON.parse(said)
    said = error.message || error
  } catch {} // plain text
  said = String(said).trim().slice(0, 300)
  if (status >= 500 || [408, 423, 425, 429].includes(status)) {
    return new Interruption(`The server cannot take it now (status ${status}${said && ': '}${said}).`, 1000 * (Number(xhr.getResponseHeader('Retry-After')) || 0))
  }
  const words = {
    401: 'The server asks for an access token, or the one given is not valid any more.',
    403: 'You may not upload this here.',
    404: 'There is no such upload, or it is not yours.',
    409: 'Another file was uploaded here before.',
    410: 'This upload was deleted, or has expired.',
    413: 'The file is larger than allowed.',
  }[status] || `The server refused the file (status ${status}).`
  return new Refusal(said ? `${words} The server says: ${said}` : words, status)
}

// parseRange returns the half-open range of "a-b", or of "a-" up to the size.
function parseRange(text, size) {
  const [first, last] = text.split('-')
  return [Number(first), last === '' ? size : Number(last) + 1]
}

// receivedBytes returns how many bytes the server has, by the state that it reports.
function receivedBytes(state) {
  return state.received.map(text => parseRange(text)).reduce((n, [from, to]) => n + to - from, 0)
}

const base64 = text => btoa(String.fromCharCode(...new TextEncoder().encode(text)))

class Transfer {
  // access gives the URL and the headers for an id; changed is called after each change. Without
  // an id the upload is created.
  constructor(file, access, id, changed) {
    Object.assign(this, { file, access, id, changed })
    this.type = /^multipart\/|urlencoded/.test(file.type) ? '' : file.type // would be taken for a form
    this.state = 'waiting' // then running, retrying, paused, locked, failed or done
    this.why = ''
    this.begun = !access.link // a part of the file was sent from here, as far as is known
    this.stored = 0 // bytes that the server has acknowledged
    this.inFlight = new Map() // bytes of each request that were sent
    this.stop = new AbortController()
  }

  get sent() {
    let n = this.stored
    for (const sent of this.inFlight.values()) n += sent
    return Math.min(n, this.file.size)
  }

  set(state, why = '') {
    Object.assign(this, { state, why })
    this.changed(this)
  }

  // run sends the file, and returns when it is done, has failed or was stopped.
  async run() {
    const { signal } = (this.stop = new AbortController())
    let failures = 0
    this.set('running')
    while (!signal.aborted) {
      const before = this.stored
      try {
        if (await this.attempt(signal)) return this.set('done', this.begun ? '' : 'The server has a whole file here already. Nothing was sent.')
        failures = 0
      } catch (err) {
        if (signal.aborted) return
        if (!(err instanceof Interruption)) return this.refused(err)
        if (!(await this.readable())) return this.set('failed', 'The file cannot be read any more: it was changed, moved or deleted since you chose it. Choose it again.')
        failures = this.stored > before ? 1 : failures + 1
        await this.wait(err, failures, signal)
      }
    }
  }

  refused({ status, message }) {
    if (status !== 401) return this.set('failed', message)
    if (this.access.link) return this.set('failed', 'This link is not valid, or has expired. Ask for a new one.')
    this.set('locked', message)
  }

  // halt stops the requests. What has arrived of them stays on the server.
  halt(state) {
    this.stop.abort()
    this.set(state)
  }

  // readable reports whether the file is still as it was chosen.
  async readable() {
    try {
      await this.file.slice(0, 1).arrayBuffer()
      return true
    } catch {
      return false
    }
  }

  // wait waits before the next attempt: longer each time, and not after the network is back.
  async wait(err, failures, signal) {
    const ms = Math.max(err.wait, Math.min(30_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2))
    this.set('retrying', err.message)
    this.retryAt = Date.now() + ms
    await new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      signal.addEventListener('abort', resolve)
      addEventListener('online', resolve, { once: true, signal })
      this.retryNow = () => (clearTimeout(timer), resolve())
    })
    if (!signal.aborted) this.set('running')
  }

  // attempt sends what is missing, and reports whether the upload is complete.
  async attempt(signal) {
    if (!this.id) await this.create(signal)
    const missing = await this.missing(signal)
    if (!missing) return true
    let complete = false
    const worker = async () => {
      for (let chunk; (chunk = missing.shift()); ) complete = (await this.sendChunk(chunk, signal)) || complete
    }
    const failed = err => {
      missing.length = 0 // ask the server again before anything else is sent
      return err
    }
    const ends = await Promise.all(Array.from({ length: streams }, () => worker().catch(failed)))
    const err = ends.find(Boolean)
    if (err && !complete) throw err
    return complete
  }

  // create has the server create the upload and choose its id.
  async create(signal) {
    const { name, size } = this.file
    const metadata = ['filename ' + base64(name)].concat(this.type ? 'filetype ' + base64(this.type) : [])
    const xhr = await send('POST', this.access.url(''), {
      headers: { ...this.access.headers(''), 'Tus-Resumable': '1.0.0', 'Upload-Length': size, 'Upload-Metadata': metadata.join() }, signal,
    })
    if (xhr.status !== 201) throw failure(xhr)
    const location = new URL(xhr.getResponseHeader('Location'), this.access.url(''))
    this.id = decodeURIComponent(location.pathname.split('/').pop())
    this.access.created(this, location.searchParams.get('ticket'))
  }

  // missing returns the chunks that the server lacks, null if it has all.
  async missing(signal) {
    const { size } = this.file
    const xhr = await send('GET', this.access.url(this.id) + '?state', { headers: this.access.headers(this.id), signal })
    let state = { complete: false, size, missing: ['0-'], received: [] }
    if (xhr.status === 200) {
      state = JSON.parse(xhr.responseText)
    } else if (xhr.status === 404 || (xhr.status === 410 && !this.access.link)) {
      if (!this.access.link) await this.create(signal) // it has expired; a link creates by the first chunk
    } else {
      throw failure(xhr)
    }
    if (state.size !== null && state.size !== size) throw new Refusal(`A file of ${state.size} bytes is being uploaded here; this one has ${size}.`)
    this.stored = receivedBytes(state)
    this.changed(this)
    if (state.complete) return null
    const chunks = []
    for (const text of state.missing) {
      let [from, to] = parseRange(text, size)
      do {
        chunks.push([from, Math.min(to, from + chunkLength)])
        from += chunkLength
      } while (from < to)
    }
    return chunks
  }

  // sendChunk sends the bytes of a half-open range, and reports whether the upload is complete.
  async sendChunk([from, to], signal) {
    const { name, size } = this.file
    const escaped = encodeURIComponent(name).replace(/['()*]/g, c => '%' + c.charCodeAt(0).toString(16))
    const headers = {
      ...this.access.headers(this.id),
      'Content-Type': this.type || 'application/octet-stream',
      'Content-Disposition': `attachment; filename*=UTF-8''${escaped}`,
    }
    if (size > 0) headers['Content-Range'] = `bytes ${from}-${to - 1}/${size}`
    const request = {}
    try {
      const progress = n => {
        this.inFlight.set(request, Math.min(n, to - from))
        this.changed(this)
      }
      this.begun = true
      const xhr = await send('PUT', this.access.url(this.id), { headers, body: this.file.slice(from, to), progress, signal })
      if (xhr.status !== 201 && xhr.status !== 202) throw failure(xhr)
      this.stored += to - from
      return xhr.status === 201
    } finally {
      this.inFlight.delete(request)
    }
  }

  // remove deletes what the server has of the upload.
  async remove() {
    this.halt('removed')
    if (!this.id) return
    const xhr = await send('DELETE', this.access.url(this.id), { headers: this.access.headers(this.id) })
    if (xhr.status >= 400 && xhr.status !== 404 && xhr.status !== 410) throw failure(xhr)
  }
}
