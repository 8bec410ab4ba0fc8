// Uploads files with @microsoft/microsoft-graph-client, as the JSON list of jobs in the
// first argument says, all at once; see libraryJob in google_test.go. As the library leaves
// it to its user, an upload that fails is resumed. Prints a line of JSON for each.
'use strict'

const fs = require('fs')
const { Client, FileUpload, OneDriveLargeFileUploadTask } = require('@microsoft/microsoft-graph-client')

async function upload(job) {
  const client = Client.init({ baseUrl: job.endpoint, authProvider: (done) => done(null, 'a token') })
  const content = fs.readFileSync(job.file)
  const task = await OneDriveLargeFileUploadTask.createTaskWithFileObject(
    client,
    new FileUpload(content, job.name, content.length),
    { path: '/Videos', fileName: job.name, rangeSize: job.chunk },
  )
  let outcome = task.upload()
  for (let resumed = 0; resumed < 5; resumed++) {
    try {
      const { location, responseBody } = await outcome
      return { size: responseBody.size, location, resumed }
    } catch (err) {
      const { nextExpectedRanges } = await task.getStatus()
      if (nextExpectedRanges.length === 0) {
        return { size: content.length, location: task.getUploadSession().url, resumed }
      }
      outcome = task.resume()
    }
  }
  return { error: 'resumed too often' }
}

for (const job of JSON.parse(process.argv[2])) {
  upload(job).then(
    (result) => console.log(JSON.stringify({ ...result, case: job.case })),
    (err) => console.log(JSON.stringify({ case: job.case, error: String(err.stack || err) })),
  )
}
