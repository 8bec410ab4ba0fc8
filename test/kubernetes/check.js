// Checks manifests against the types of Kubernetes' API: required fields, unknown fields,
// values of a wrong type.
//
//   node check.js < manifests
//
// Reads a JSON array of texts in YAML, each with any number of documents. Prints one with
// the errors of each text.
'use strict'

const path = require('path')
const ts = require('typescript')
const yaml = require('yaml')

const options = {
  noEmit: true, strict: true, skipLibCheck: true, types: [], lib: ['lib.es2020.d.ts'],
  target: ts.ScriptTarget.ES2020, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
}

// A manifest as a program that assigns it to a variable of its type.
function program(text) {
  return yaml.parseAllDocuments(text).map((document, i) => {
    if (document.errors.length > 0) throw document.errors[0]
    const object = document.toJS()
    return `import type { I${object.kind} as T${i} } from 'kubernetes-models/${object.apiVersion}/${object.kind}'\n` +
      `export const object${i}: T${i} = ${JSON.stringify(object)}\n`
  }).join('')
}

function check(texts) {
  const files = new Map(texts.map((text, i) => [path.join(__dirname, `manifest${i}.ts`), program(text)]))
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = name => files.has(name) || fileExists(name)
  host.getSourceFile = (name, version) => files.has(name)
    ? ts.createSourceFile(name, files.get(name), version, true) : getSourceFile(name, version)
  const compiled = ts.createProgram([...files.keys()], options, host)
  return [...files.keys()].map(name => ts.getPreEmitDiagnostics(compiled, compiled.getSourceFile(name))
    .map(d => ts.flattenDiagnosticMessageText(d.messageText, ' ')))
}

console.log(JSON.stringify(check(JSON.parse(require('fs').readFileSync(0, 'utf8')))))
