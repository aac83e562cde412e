import {regionSchema, type SchemaNode} from './crd.ts';

/**
 * Schema of the pisync-region chart's values: the fields of `spec` exactly as in the kind, and the object's own metadata. Helm refuses a wrong value before anything
 * is sent; unknown fields too, so that a misspelled one does not vanish. That `region` is missing is said by the chart's template, which can say what to do about it, and
 * does not fail `helm lint`.
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

const texts = (description: string): SchemaNode => ({
  type: 'object',
  description,
  additionalProperties: {type: 'string'},
});

export const regionChartValuesSchema = () => {
  const {required, ...spec} = regionSchema().properties?.['spec'] ?? {};
  const stillRequired = required?.filter((name) => name !== 'region') ?? [];
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...closed({
      ...spec,
      ...(stillRequired.length === 0 ? {} : {required: stillRequired}),
      properties: {
        ...spec.properties,
        nameOverride: {
          type: 'string',
          maxLength: 40,
          description: 'Name of the PiSyncRegion. Default: that of the release.',
        },
        objectLabels: texts('Labels of the PiSyncRegion.'),
        objectAnnotations: texts('Annotations of the PiSyncRegion.'),
        // Any object: Helm gives it to every chart.
        global: {type: 'object', description: 'For umbrella charts.'},
        enabled: {type: 'boolean', description: 'For the `condition` of an umbrella chart.'},
      },
    }),
  };
};
