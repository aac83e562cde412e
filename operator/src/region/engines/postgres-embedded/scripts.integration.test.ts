import {describeStarts} from './testing/start-cases.ts';

describeStarts('image');
