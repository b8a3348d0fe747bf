// How smooth the map is: time from frame to frame while it is moved and zoomed, in headless Chromium without a graphics card. Prints one line of figures.
import { launch, open } from './browser.mjs';

const browser = await launch();
const { page, complaints } = await open(browser, {});
await page.waitForFunction((count) => document.getElementById('map').getAttribute('aria-label').includes(count), process.env.CELLS);
const measured = await page.evaluate(async () => {
  const canvas = document.getElementById('map'), box = canvas.getBoundingClientRect();
  const at = (type, x, y, more = {}) => canvas.dispatchEvent(new (type.startsWith('wheel') ? WheelEvent : PointerEvent)(type, { clientX: box.left + x, clientY: box.top + y, pointerId: 1, bubbles: true, cancelable: true, ...more }));
  canvas.setPointerCapture = () => {};
  const during = async (step, frames) => {
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    for (let frame = 0; frame < frames; frame += 1) {
      step(frame);
      const now = await new Promise(requestAnimationFrame);
      times.push(now - last);
      last = now;
    }
    return times;
  };
  const pan = await during((frame) => {
    if (frame === 0) at('pointerdown', 600, 500);
    at('pointermove', 600 + 300 * Math.sin(frame / 25), 500 + 200 * Math.sin(frame / 40));
    if (frame === 299) at('pointerup', 600, 500);
  }, 300);
  const zoom = await during((frame) => at('wheel', 700, 500, { deltaY: frame % 200 < 100 ? -40 : 40 }), 300);
  const rest = await during(() => {}, 120);
  const figures = (times) => {
    const sorted = times.toSorted((a, b) => a - b), of = (part) => Number(sorted[Math.floor(part * (sorted.length - 1))].toFixed(1));
    return { median: of(0.5), p95: of(0.95), p99: of(0.99), worst: of(1), over_20ms: times.filter((one) => one > 20).length, frames: times.length };
  };
  return { pan: figures(pan), zoom: figures(zoom), rest: figures(rest) };
});
for (const [what, figures] of Object.entries(measured)) console.log(`${what}: ${JSON.stringify(figures)}`);
if (process.env.GRIDWARDEN_PICTURES) {
  await page.keyboard.press('Escape');
  await page.locator('.zoom button').nth(2).click();
  await page.waitForTimeout(800);
  await page.screenshot({ path: `${process.env.GRIDWARDEN_PICTURES}/city.png` });
}
await browser.close();
if (complaints.length > 0) throw new Error(complaints.join('\n'));
