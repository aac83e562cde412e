import type {AuditCheck, AuditFinding} from '../api/types.ts';

export interface CheckResult {
  /** Entries of the chain. */
  readonly checked: number;
  readonly pending: number;
  readonly findings: readonly AuditFinding[];
  /** There are more findings than these. */
  readonly more: boolean;
  readonly unchecked: readonly string[];
}

/** More on a page nobody reads. */
const MOST_FINDINGS = 100;

/** Goes on from call to call until the end of the chain. @param onProgress with how many entries were looked at so far */
export const checkAudit = async (
  call: (cursor: string | null) => Promise<AuditCheck>,
  onProgress: (checked: number) => void,
): Promise<CheckResult> => {
  let checked = 0;
  let more = false;
  const findings: AuditFinding[] = [];
  for (let cursor: string | null = null; ;) {
    const part = await call(cursor);
    if (part.checked !== null) checked = part.checked.toSeq;
    more ||= part.moreFindings || findings.length + part.findings.length > MOST_FINDINGS;
    findings.push(...part.findings.slice(0, MOST_FINDINGS - findings.length));
    onProgress(checked);
    if (part.nextCursor === null)
      return {checked, pending: part.pending ?? 0, findings, more, unchecked: part.unchecked};
    cursor = part.nextCursor;
  }
};
