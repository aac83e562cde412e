import {z} from 'zod';
import {API_VERSION, CATEGORY, GROUP, KIND, PLURAL, SHORT_NAME, VERSION} from './group.ts';
import {RULES} from './rules.ts';
import {specSchema} from './spec.ts';
import {statusSchema} from './status.ts';

/** A node of an OpenAPI schema as the API server wants it. */
export interface SchemaNode {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode;
  items?: SchemaNode;
  anyOf?: SchemaNode[];
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: {rule: string; message: string; fieldPath?: string}[];
  [extension: string]: unknown;
}

/**
 * From zod to what Kubernetes calls a structural schema: no `additionalProperties: false`, no bounds that only say "a safe integer", and
 * the one union that is allowed in its one spelling.
 */
const structural = (schema: z.ZodType): SchemaNode =>
  // zod's type of a JSON Schema is wider than SchemaNode; the API server's acceptance of the result is an integration test.
  z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    override: ({jsonSchema: node}) => {
      if (node.additionalProperties === false) delete node.additionalProperties;
      if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
      if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
      // Text is limited where it is used; a record's key has no place in a structural schema.
      delete node.propertyNames;
      if (node['x-kubernetes-int-or-string'] === true) {
        delete node.type;
        node.anyOf = [{type: 'integer'}, {type: 'string'}];
      }
    },
  }) as SchemaNode;

/**
 * An object whose default is empty gets the defaults of its fields. The API server would fill them in by itself, but it judges a default by the rules
 * *before* it does so.
 */
const fillDefaults = (node: SchemaNode): SchemaNode => {
  for (const field of Object.values(node.properties ?? {})) fillDefaults(field);
  if (node.properties !== undefined && node.default !== undefined) {
    node.default = Object.fromEntries(
      Object.entries(node.properties).flatMap(([name, field]) =>
        field.default === undefined ? [] : [[name, field.default]],
      ),
    );
  }
  return node;
};

const child = (node: SchemaNode, name: string): SchemaNode => {
  const found = node.properties?.[name];
  if (found === undefined) throw new Error(`a rule names the field ${name}, which the schema does not have`);
  return found;
};

const attachRules = (root: SchemaNode): void => {
  for (const {at, field, cel, message} of RULES) {
    const node = at === '' ? root : at.split('.').reduce(child, root);
    (node['x-kubernetes-validations'] ??= []).push({
      rule: cel,
      message,
      ...(field === '' ? {} : {fieldPath: field}),
    });
  }
};

/** The whole object's schema. */
export const regionSchema = (): SchemaNode => {
  const root: SchemaNode = {
    type: 'object',
    description: `A region: everything that syncs a fleet of devices, in one namespace.`,
    required: ['spec'],
    properties: {
      apiVersion: {type: 'string', description: `Always ${API_VERSION}.`},
      kind: {type: 'string', description: `Always ${KIND}.`},
      metadata: {type: 'object', properties: {name: {type: 'string'}}},
      spec: fillDefaults(structural(specSchema)),
      status: structural(statusSchema),
    },
  };
  attachRules(root);
  return root;
};

const column = (name: string, jsonPath: string, description: string, wide = false) => ({
  name,
  type: 'string',
  jsonPath,
  description,
  ...(wide ? {priority: 1} : {}),
});

/** The CustomResourceDefinition that the API server gets. */
export const customResourceDefinition = () => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `${PLURAL}.${GROUP}`,
    // Deleting the definition deletes every region, so an uninstalled chart leaves it.
    annotations: {'helm.sh/resource-policy': 'keep'},
  },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: {
      kind: KIND,
      listKind: `${KIND}List`,
      plural: PLURAL,
      singular: KIND.toLowerCase(),
      shortNames: [SHORT_NAME],
      categories: [CATEGORY],
    },
    versions: [
      {
        name: VERSION,
        served: true,
        storage: true,
        schema: {openAPIV3Schema: regionSchema()},
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.workers.replicas',
            statusReplicasPath: '.status.workers.replicas',
            labelSelectorPath: '.status.workers.selector',
          },
        },
        additionalPrinterColumns: [
          column('Ready', '.status.conditions[?(@.type=="Ready")].status', 'Whether the region works.'),
          column('Phase', '.status.phase', 'A summary in one word.'),
          column('Device-API', '.status.deviceApi.summary', 'Ready and wanted pods of device-api.'),
          column('Workers', '.status.workers.summary', 'Ready and wanted workers.'),
          column('Shards', '.status.readyShards', 'Ready and wanted shards.'),
          column('Version', '.status.version.current', 'Version of the services that run.'),
          {name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp'},
          column('URL', '.status.endpoints.device', 'Where devices reach the region.', true),
          column('Message', '.status.message', 'A summary in one sentence.', true),
        ],
      },
    ],
  },
});
