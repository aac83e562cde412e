import {regionSchema, type SchemaNode} from './crd.ts';

/**
 * Schema of the pisync-region chart's values: a name, metadata, and `spec` exactly as in the kind. Helm refuses a wrong value before anything
 * is sent; unknown fields too, so that a misspelled one does not vanish.
 */
const closed = (node: SchemaNode): Record<string, unknown> => {
  const {properties, items, additionalProperties, ...rest} = node;
  const plain = Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith('x-kubernetes-')));
  return {
    ...plain,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, closed(field)])),
          additionalProperties: false,
        }),
    ...(additionalProperties === undefined ? {} : {additionalProperties: closed(additionalProperties)}),
    ...(items === undefined ? {} : {items: closed(items)}),
  };
};

const texts = (description: string) => ({type: 'object', description, additionalProperties: {type: 'string'}});

export const regionChartValuesSchema = () => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  required: ['spec'],
  properties: {
    name: {
      type: 'string',
      description: 'Name of the PiSyncRegion. Default: the release name.',
      maxLength: 40,
    },
    labels: texts('Labels of the PiSyncRegion.'),
    annotations: texts('Annotations of the PiSyncRegion.'),
    global: {type: 'object', description: 'For umbrella charts.'},
    spec: closed(regionSchema().properties?.['spec'] ?? {}),
  },
  additionalProperties: false,
});
