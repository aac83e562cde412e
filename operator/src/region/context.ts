import {KIND} from '../api/v1alpha1/group.ts';
import {type RegionSpec} from '../api/v1alpha1/spec.ts';
import {controllerOf, type Key} from '../kube/object.ts';
import {type Children} from './children.ts';
import {type Names, namesOf} from './names.ts';
import {type Region} from './region.ts';

/** What the operator brings: images that fit together, and its own version. */
export interface Release {
  readonly version: string;
  readonly images: {
    readonly service: string;
    readonly postgres: string;
    readonly rabbitmq: string;
    readonly redis: string;
  };
}

/** What every builder of manifests sees of a region whose spec is valid. */
export interface RegionContext {
  readonly name: string;
  readonly namespace: string;
  readonly spec: RegionSpec;
  readonly names: Names;
  readonly images: Release['images'];
  /** Version of the services, for labels and status. */
  readonly version: string;
  /** What exists, as of the observation. */
  readonly children: Children;
  /** How many shards services use, as written down; 0 for a new region. */
  readonly admitted: number;
  /** Its services ran once: what is missing has been lost, and is not waited for in the order of a beginning. */
  readonly hasWorked: boolean;
}

interface ImageName {
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** A colon before the last slash is a port. */
const parseImage = (image: string): ImageName => {
  const [tagged = '', digest] = image.split('@');
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  return {
    name: hasTag ? tagged.slice(0, colon) : tagged,
    ...(hasTag ? {tag: tagged.slice(colon + 1)} : {}),
    ...(digest === undefined ? {} : {digest}),
  };
};

/** The image with another tag; a digest and the old tag go away. */
const withTag = (image: string, tag: string): string => `${parseImage(image).name}:${tag}`;

/** What the value of a label may have; a tag may be longer and begin or end otherwise. */
const LONGEST_VERSION = 63;
/** Of a digest's digits, as many as tools show. */
const DIGEST_DIGITS = 12;

/** What an image says of its version, as it may stand in a label. */
const versionOf = (image: string): string => {
  const {tag, digest} = parseImage(image);
  const [algorithm, digits = ''] = digest?.split(':') ?? [];
  const text = tag ?? (algorithm === undefined ? 'latest' : `${algorithm}-${digits.slice(0, DIGEST_DIGITS)}`);
  return text.slice(0, LONGEST_VERSION).replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
};

/** The image from another registry. The first part of a name is a registry only if it looks like a host. */
const withRegistry = (image: string, registry: string | undefined): string => {
  if (registry === undefined) return image;
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return `${registry}/${isHost ? rest.join('/') : image}`;
};

/** The image of the services. */
export const serviceImage = (
  {
    version,
    images,
  }: Pick<RegionSpec, 'version'> & {readonly images: Pick<RegionSpec['images'], 'service' | 'registry'>},
  release: Release,
): string => {
  const tagged = version === undefined ? release.images.service : withTag(release.images.service, version);
  return images.service ?? withRegistry(tagged, images.registry);
};

export const contextOf = (
  {name, namespace, status}: Pick<Region, 'name' | 'namespace' | 'status'>,
  spec: RegionSpec,
  release: Release,
  children: Children,
  admitted: number,
): RegionContext => {
  const {images} = spec;
  const service = serviceImage(spec, release);
  return {
    name,
    namespace,
    spec,
    names: namesOf(name, service),
    images: {
      service,
      postgres: images.postgres ?? withRegistry(release.images.postgres, images.registry),
      rabbitmq: images.rabbitmq ?? withRegistry(release.images.rabbitmq, images.registry),
      redis: images.redis ?? withRegistry(release.images.redis, images.registry),
    },
    version: versionOf(service),
    children,
    admitted,
    hasWorked: status.version?.current !== undefined,
  };
};

/**
 * Whether a child exists and is controlled by a region of this name, so that what it says is what the operator wrote. In whichever life of the region: what
 * an earlier one controlled is taken over.
 */
export const isChild = ({children, name}: RegionContext, key: Omit<Key, 'namespace'>): boolean => {
  const live = children.find(key, key.name);
  const controller = live && controllerOf(live);
  return controller?.kind === KIND && controller.name === name;
};
