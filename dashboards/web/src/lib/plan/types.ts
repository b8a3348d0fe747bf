// Plans as the API shows them.
export type Part = [number, number];
export interface Plan {
  code: string;
  cell: string;
  name: string;
  building: string | null;
  floor: number | null;
  /** Upper left, upper right, lower left. */
  corners: [Part, Part, Part] | null;
  width: number;
  height: number;
  bytes: number;
  path: string;
  devices: { device: string; at: Part }[];
}
/** As a card has it. */
export interface OnPlan { plan: string; building: string; floor: number; at: Part; width: number; height: number }

/** The picture with its code, for whoever sees the alarm and not the cell. */
export const picturePath = (plan: string, alarm?: string): string => `/api/v1/plans/${encodeURIComponent(plan)}/picture${alarm ? `?alarm=${encodeURIComponent(alarm)}` : ''}`;
