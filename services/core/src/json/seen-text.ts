/** What is not seen, or changes how what stands beside it is seen: as the name of a group may have none of it (control.device_group). */
const UNSEEN = /[\p{Cc}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
/** Anything that leaves a mark: no control or format character, no kind of space, nothing that fonts draw as nothing. */
const MARK = /[^\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Whether a text that names something is seen whole by who reads it in a line. */
export const isSeenText = (text: string): boolean => MARK.test(text) && !UNSEEN.test(text) && text === text.trim();
