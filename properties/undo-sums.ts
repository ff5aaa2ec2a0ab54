/** Sums over the fault sites of an undo report, for the document on the 2010 argument. */
import type { SiteUndo, UndoReport } from '../src/lab/check/undo.ts'

/** The sum over the sites. */
export const sumUndo = (r: UndoReport, of: (s: SiteUndo) => number): number => r.sites.reduce((n, s) => n + of(s), 0)

/** Sites that may fail in the undo of another, in order. */
export const inUndo = (r: UndoReport): readonly string[] => [...new Set(r.sites.flatMap((s) => Object.keys(s.inUndo)))].sort()
