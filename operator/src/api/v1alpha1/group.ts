/** How the API server names the kind. */
export const GROUP = 'pisync.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'PiSyncRegion';
export const PLURAL = 'pisyncregions';
export const SHORT_NAME = 'psr';
export const CATEGORY = 'pisync';

/** Children append suffixes of up to 20 characters and pods up to 17 more: with 40 no generated name passes 63. */
export const MAX_NAME_LENGTH = 40;
