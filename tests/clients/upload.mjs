// Uploads files with tus-js-client, all at once, as the browser app does; prints what happened as one line of JSON.
//   node upload.mjs '{"endpoint": …, "token": …, "files": [{"path": …, "evidenceId": …}], "options": {…}}'
import { readFileSync } from 'node:fs'
import * as tus from 'tus-js-client'

const { endpoint, token, files, options } = JSON.parse(process.argv[2])

const upload = ({ path, evidenceId }) =>
  new Promise((resolve) => {
    const statuses = []
    const told = new tus.Upload(readFileSync(path), {
      endpoint,
      headers: { Authorization: `Bearer ${token}` },
      metadata: { evidenceId, filename: '大门.jpg' },
      storeFingerprintForResuming: false,
      ...options,
      onBeforeRequest: (request) => {
        if (process.env.SHOW) console.error(request.getMethod(), request.getURL())
      },
      onAfterResponse: (request, response) => {
        statuses.push([request.getMethod(), response.getStatus()])
      },
      onError: (error) => resolve({ evidenceId, url: told.url, error: String(error), statuses }),
      onSuccess: () => resolve({ evidenceId, url: told.url, error: null, statuses }),
    })
    told.start()
  })

console.log(JSON.stringify(await Promise.all(files.map(upload))))
process.exit(0)
