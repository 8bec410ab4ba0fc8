// Uploads files with @google-cloud/storage, as the JSON list of jobs in the first argument
// says, all at once; see job in google_test.go. Prints a line of JSON for each.
'use strict'

const fs = require('fs')
const { pipeline } = require('stream/promises')
const { Storage, IdempotencyStrategy } = require('@google-cloud/storage')

async function upload(job) {
  const storage = new Storage({
    apiEndpoint: job.endpoint,
    projectId: 'test',
    retryOptions: { idempotencyStrategy: IdempotencyStrategy.RetryAlways, retryDelayMultiplier: 1.1, maxRetries: 8 },
  })
  const file = storage.bucket(job.bucket).file(job.name)
  const options = {
    resumable: job.kind !== 'simple',
    chunkSize: job.chunk || undefined,
    metadata: { contentType: 'video/mp4', metadata: { owner: 'phone 7' } },
  }
  await pipeline(fs.createReadStream(job.file), file.createWriteStream(options))
  const [metadata] = await file.getMetadata()
  const [content] = await file.download()
  return { size: Number(metadata.size), downloaded: content.length }
}

for (const job of JSON.parse(process.argv[2])) {
  upload(job).then(
    (result) => console.log(JSON.stringify({ ...result, case: job.case })),
    (err) => console.log(JSON.stringify({ case: job.case, error: String(err.stack || err) })),
  )
}
