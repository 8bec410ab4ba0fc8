// Runs one upload in a frame: loads the library, the recipe and what starts it, and reports
// the result. The frame has the job; see browserJob.

let reported = false
function report(result) {
  if (reported) return
  reported = true
  fetch('/result/' + job.id, { method: 'POST', body: JSON.stringify(result) })
}

// done reports the URL of the upload, failed what the library says of its error.
const done = url => report({ url })
const failed = error => report({ error: typeof error === 'object' && !(error instanceof Error) ? JSON.stringify(error) : String(error) })

window.addEventListener('error', event => event.error && failed(String(event.error.stack)))
window.addEventListener('unhandledrejection', event => failed(String(event.reason)))

const load = src => new Promise((resolve, reject) => {
  const script = document.createElement('script')
  script.src = src
  script.onload = resolve
  script.onerror = () => reject(new Error('cannot load ' + src))
  document.head.append(script)
})

// afterInit calls add when an uploader of Plupload takes files.
const afterInit = (uploader, add) => uploader.features.chunks ? add() : uploader.bind('PostInit', add)

// reloadOnce reloads the frame once so many bytes are stored.
async function reloadOnce(bytes) {
  const key = 'reloaded ' + job.id
  if (!bytes || sessionStorage[key]) return
  for (let stored = 0; stored < bytes;) {
    await new Promise(resolve => setTimeout(resolve, 100))
    const answer = await fetch(uploadURL(file), { headers: { Accept: 'application/json' } })
    if (answer.ok) stored = (await answer.json()).files[0].size
  }
  sessionStorage[key] = 'yes'
  location.reload()
}

async function run() {
  // Frames share what libraries keep in the browser: of two files of one name, the second may
  // begin while the first is on its way.
  await new Promise(resolve => setTimeout(resolve, job.id % 6 * 400))
  const content = await fetch('/content/' + job.id)
  window.file = new File([await content.blob()], job.fileName, { type: 'video/mp4', lastModified: job.id })
  for (const script of job.library) await load('/uploaders/node_modules/' + script)
  await load('/recipe/' + job.id + '.js')
  await load('/uploaders/' + job.starts)
  starts[job.start](file)
  await reloadOnce(job.reloadAfter)
}
run().catch(failed)
