// Parses code from a page about phones, and prints the requests that it makes.
//
//   node requests.js swift|kotlin < blocks
//
// Reads a JSON array of blocks of code. Prints one with, for each block, its syntax errors,
// and by the names of functions the requests that they make: the method and the headers,
// whose values have placeholders as in the code.
'use strict'

const { parse, registerDynamicLanguage } = require('@ast-grep/napi')

registerDynamicLanguage({ swift: require('@ast-grep/lang-swift'), kotlin: require('@ast-grep/lang-kotlin') })

const languages = {
  swift: {
    method: '$R.httpMethod = $V',
    header: '$R.setValue($V, forHTTPHeaderField: $N)',
    made: 'URLRequest(url: $U)',
  },
  kotlin: {
    method: '$R.requestMethod = $V',
    header: '$R.setRequestProperty($N, $V)',
    made: '$R.setRequestProperty($N, $V)',
  },
}

// A parser repairs what it cannot parse: it skips text, or adds a token without text.
function errors(node) {
  const children = node.children()
  const bad = node.kind() === 'ERROR' || (children.length === 0 && node.text() === '' && node.isNamed() === false)
  const here = bad ? [`line ${node.range().start.line + 1}: ${node.text().slice(0, 60) || 'missing ' + node.kind()}`] : []
  return here.concat(...children.map(errors))
}

const literal = node => node.text().replace(/^"|"$/g, '')

function request(language, body) {
  const method = body.find(language.method)
  const headers = body.findAll(language.header).map(h => [literal(h.getMatch('N')), literal(h.getMatch('V'))])
  return { method: method ? literal(method.getMatch('V')) : 'GET', headers: Object.fromEntries(headers) }
}

function requests(language, root) {
  const functions = root.findAll({ rule: { kind: 'function_declaration' } }).filter(f => f.find(language.made))
  return Object.fromEntries(functions.map(f => {
    const name = f.find({ rule: { kind: 'simple_identifier' } }) || f.find({ rule: { kind: 'identifier' } })
    return [name.text(), request(language, f)]
  }))
}

const [name] = process.argv.slice(2)
const blocks = JSON.parse(require('fs').readFileSync(0, 'utf8'))
console.log(JSON.stringify(blocks.map(code => {
  const root = parse(name, code).root()
  return { errors: errors(root), requests: requests(languages[name], root) }
})))
