import type {Choice} from '../cluster/choose.ts';
import {HOST_PACKAGES, IMAGE_PACKAGES, type HostPackage} from '../cluster/host-packages.ts';
import {BASE_IMAGES, type BaseImage} from '../images/base-images.ts';

export type Purpose = 'images' | 'cluster';

interface Missing {
  readonly packages: readonly HostPackage[];
  readonly baseImages: readonly BaseImage[];
  /** Whether Kubernetes has to be built. */
  readonly binaries: boolean;
}

/**
 * What a purpose lacks on a machine where `has` is there already. Whoever wants images alone waits for no Kubernetes.
 *
 * @throws Error with the reason where neither Docker nor root is there.
 */
export function missingFor(purpose: Purpose, choice: Choice, has: Pick<Missing, 'baseImages' | 'binaries'>): Missing {
  if (choice.kind === 'none') throw new Error(choice.why);
  if (choice.kind !== 'bare') return {packages: [], baseImages: [], binaries: false};
  const baseImages = BASE_IMAGES.filter((base) => !has.baseImages.includes(base));
  return purpose === 'images'
    ? {packages: IMAGE_PACKAGES, baseImages, binaries: false}
    : {packages: HOST_PACKAGES, baseImages, binaries: !has.binaries};
}
