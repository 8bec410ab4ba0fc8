// Parses queries in Prometheus' language.
//
//   node parse.js < queries
//
// Reads a JSON array of queries. Prints one with, for each query, whether it is well-formed,
// the metrics that it reads, and the labels that it names.
'use strict'

const { parser } = require('@prometheus-io/lezer-promql')

function parse(query) {
  const found = { wellFormed: query.trim() !== '', metrics: [], labels: [] }
  parser.parse(query).iterate({
    enter(node) {
      const text = query.slice(node.from, node.to)
      if (node.type.isError) found.wellFormed = false
      if (node.name === 'Identifier' && node.node.parent.name === 'VectorSelector') found.metrics.push(text)
      if (node.name === 'LabelName') found.labels.push(text)
    },
  })
  return found
}

console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8')).map(parse)))
