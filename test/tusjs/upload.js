// Uploads a file with tus-js-client, as the JSON in the first argument says:
//
//   endpoint, file    where to and what
//   chunkSize         bytes of a PATCH; without it, one PATCH carries all
//   parallel          number of parts to send at once and concatenate
//   deferred          send as a stream whose length is not known
//   protocol          'ietf-draft-03' or 'ietf-draft-05'; without it, tus
//   withData          send the first chunk with the creation
//   store             a file that keeps the URLs of uploads between runs
//   abortAfter        bytes after which the upload is aborted
//   dieAfter          bytes after which the process ends without a word
//
// Prints a line of JSON: the upload's URL, the offset of the first PATCH that the
// server took, whether the upload was aborted, and how often a request was made
// again.
'use strict'

const fs = require('fs')
const { PassThrough } = require('stream')
const tus = require('tus-js-client')

const job = JSON.parse(process.argv[2])
const result = { url: null, firstOffset: null, aborted: false, retries: 0 }

function source() {
  const file = fs.createReadStream(job.file)
  return job.deferred ? file.pipe(new PassThrough()) : file
}

function finish() {
  result.url = upload.url
  console.log(JSON.stringify(result))
  process.exit(0)
}

const upload = new tus.Upload(source(), {
  endpoint: job.endpoint,
  protocol: job.protocol || 'tus-v1',
  uploadDataDuringCreation: Boolean(job.withData),
  chunkSize: job.chunkSize || Infinity,
  parallelUploads: job.parallel || 1,
  uploadLengthDeferred: Boolean(job.deferred),
  metadata: { filename: 'video.mp4', filetype: 'video/mp4' },
  urlStorage: job.store ? new tus.FileUrlStorage(job.store) : undefined,
  storeFingerprintForResuming: Boolean(job.store),
  retryDelays: Array(50).fill(100),
  onShouldRetry(err) {
    const status = err.originalResponse ? err.originalResponse.getStatus() : 0
    result.retries++
    return status === 0 || status === 409 || status === 423 || status >= 500
  },
  onAfterResponse(req, res) {
    if (req.getMethod() === 'PATCH' && res.getStatus() < 300 && result.firstOffset === null) {
      result.firstOffset = Number(req.getHeader('Upload-Offset'))
    }
  },
  onProgress(sent) {
    if (job.dieAfter && sent >= job.dieAfter) {
      process.kill(process.pid, 'SIGKILL')
    }
    if (job.abortAfter && sent >= job.abortAfter && !result.aborted) {
      result.aborted = true
      upload.abort().then(finish)
    }
  },
  onSuccess: finish,
  onError(err) {
    console.error(String(err))
    process.exit(1)
  },
})

async function main() {
  if (job.store) {
    const previous = await upload.findPreviousUploads()
    if (previous.length > 0) {
      upload.resumeFromPreviousUpload(previous[0])
    }
  }
  upload.start()
}

main()
