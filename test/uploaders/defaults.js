// The libraries as they are by default, but that they send chunks. Each reports what it says
// of its error.

const chunkSize = 1024 * 1024
const url = job.endpoint

const starts = {
  'Dropzone'(file) {
    const dropzone = new Dropzone('#dropzone', { url, chunking: true, chunkSize, retryChunks: true })
    dropzone.on('success', () => done(url))
    dropzone.on('error', (_, message) => failed(message))
    dropzone.addFile(file)
  },
  'Flow.js'(file) { flowLike(new Flow({ target: url, chunkSize, maxChunkRetries: 1000 }), file) },
  'simple-uploader.js'(file) { flowLike(new Uploader({ target: url, chunkSize, maxChunkRetries: 1000 }), file) },
  'Resumable.js'(file) { flowLike(new Resumable({ target: url, chunkSize }), file) },
  'Plupload'(file) {
    const uploader = new plupload.Uploader({ browse_button: 'browse', url, chunk_size: chunkSize })
    uploader.init()
    uploader.bind('FileUploaded', () => done(url))
    uploader.bind('Error', (_, error) => failed(error.response || error.message))
    uploader.bind('FilesAdded', () => uploader.start())
    afterInit(uploader, () => uploader.addFile(file))
  },
  'Fine Uploader'(file) {
    new qq.FineUploaderBasic({
      request: { endpoint: url },
      cors: { expected: true },
      chunking: { enabled: true, partSize: chunkSize },
      callbacks: { onComplete: (id, name, response, xhr) => response.success ? done(url) : failed(xhr.responseText) },
    }).addFiles([file])
  },
  'FilePond'(file) {
    const pond = FilePond.create(document.querySelector('#filepond'), { chunkUploads: true, chunkSize, server: { url, process: { onerror: failed } } })
    pond.on('processfile', error => error || done(url))
    pond.addFile(file).then(item => pond.processFile(item)).catch(() => {})
  },
  // Of no library: a form with the whole file, which is refused before it has been sent.
  'a form'(file) {
    const form = new FormData()
    form.append('file', file)
    fetch(url, { method: 'POST', body: form }).then(async answer => failed(await answer.text()), failed)
  },
  'blueimp jQuery File Upload'(file) {
    $('#fileupload').fileupload({
      url,
      maxChunkSize: chunkSize,
      done: () => done(url),
      fail: (e, data) => failed(data.jqXHR.responseText),
    })
    $('#fileupload').fileupload('add', { files: [file] })
  },
}

function flowLike(flow, file) {
  flow.on('fileSuccess', () => done(url))
  flow.on('fileError', (...args) => failed(args.map(String).join(' ')))
  flow.on('fileAdded', () => { setTimeout(() => flow.upload()) })
  flow.addFile(file)
}
