// Makes src/api/schema.ts from the controller's own description of its API; with --check it only compares.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'

const file = fileURLToPath(new URL('../src/api/schema.ts', import.meta.url))
const repository = fileURLToPath(new URL('../../..', import.meta.url))
const command = ['run', '--quiet', '--locked', '-p', 'roadstead-controller', '--', 'openapi']
const document = execFileSync('cargo', command, { cwd: repository, maxBuffer: 1 << 26 }).toString()
const head = '// @generated from the OpenAPI document by `npm run schema`. Do not edit.\n'
const text = head + astToString(await openapiTS(JSON.parse(document)))

if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    console.error('src/api/schema.ts is not what the API says now: run `npm run schema` in controller/web and commit it')
    process.exit(1)
  }
} else {
  writeFileSync(file, text)
}
