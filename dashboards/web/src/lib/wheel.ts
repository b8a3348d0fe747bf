// How far a turn of the wheel zooms: some browsers count lines, most pixels.
export const zoomOf = (event: WheelEvent): number => Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015));
