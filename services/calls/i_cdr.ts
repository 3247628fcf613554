/** The number of a call. The number holds the month, so that a lookup reads one partition. */
import { addMonths, monthOf } from './months.ts';

/** i_cdr is yyyymm of the start times this, plus a number within the month. */
export const I_CDR_MONTH = 10_000_000_000;

export const iCdrOf = (startTime: number, number: number) => monthOf(startTime) * I_CDR_MONTH + number;

/** The month that an i_cdr lies in. Undefined where no month has that number. */
export function monthOfICdr(iCdr: number): number | undefined {
  const month = Math.floor(iCdr / I_CDR_MONTH);
  const valid = month >= 197_001 && month % 100 >= 1 && month % 100 <= 12 && addMonths(month, 1) <= 210_001;
  return valid ? month : undefined;
}
