// What a page does with the objects that the recipes of docs/clients.md make.

const starts = {
  'Dropzone'(file) {
    dropzone.on('success', () => done(uploadURL(file)))
    dropzone.on('error', (_, message) => failed(message))
    dropzone.addFile(file)
  },
  'Flow.js'(file) {
    flow.on('fileSuccess', () => done(uploadURL(file)))
    flow.on('fileError', (_, message) => failed(message))
    flow.addFile(file)
    flow.upload()
  },
  'Resumable.js'(file) {
    resumable.on('fileSuccess', () => done(uploadURL(file)))
    resumable.on('fileError', (_, message) => failed(message))
    resumable.on('fileAdded', () => resumable.upload())
    resumable.addFile(file)
  },
  'Plupload'(file) {
    uploader.bind('FileUploaded', () => done(uploadURL(file)))
    uploader.bind('Error', (_, error) => failed(error.response || error.message))
    uploader.bind('FilesAdded', () => uploader.start())
    afterInit(uploader, () => uploader.addFile(file))
  },
  'Fine Uploader'(file) {
    uploader._options.callbacks.onComplete = (id, name, response, xhr) =>
      uploader.getUploads({ id }).status === qq.status.UPLOAD_SUCCESSFUL ? done(uploadURL(file)) : failed(xhr.responseText)
    uploader.addFiles([file])
  },
  'FilePond'(file) {
    pond.on('processfile', (error, item) => error ? failed(error) : done(item.serverId))
    pond.addFile(file).then(item => pond.processFile(item))
  },
  'blueimp jQuery File Upload'(file) {
    $('#fileupload').on('fileuploaddone', () => done(uploadURL(file)))
    $('#fileupload').fileupload('add', { files: [file] })
  },
  'UpChunk'(file) {
    upload.on('success', () => done(uploadURL(file)))
    upload.on('error', event => failed(event.detail.message))
  },
}
