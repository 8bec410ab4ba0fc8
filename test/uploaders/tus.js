// tus-js-client in the protocol that the job names.

const starts = {
  'tus-js-client'(file) {
    const upload = new tus.Upload(file, {
      endpoint: job.endpoint,
      protocol: job.protocol,
      chunkSize: 512 * 1024,
      retryDelays: [100, 500, 1000, 2000, 4000],
      metadata: { filename: file.name, filetype: file.type },
      onSuccess: () => done(upload.url),
      onError: error => failed(String(error)),
    })
    upload.start()
  },
}
