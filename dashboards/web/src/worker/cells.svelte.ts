// The cells of this worker, kept on the phone from the log-in on: a hazard is reported also by who has never had that page open before the network went.
import { every } from '../lib/gateway';

const KEY = 'gridwarden-worker-cells', KEPT_MAX = 1000;
interface Named { code: string; name: string }

class Cells {
  all = $state.raw<Named[]>(JSON.parse(localStorage.getItem(KEY) ?? '[]'));

  begin(): void {
    const found: Named[] = [];
    void every<Named>('/api/v1/cells?limit=500', 'after', ({ code, name }) => found.push({ code, name }), KEPT_MAX).then(() => {
      this.all = found;
      localStorage.setItem(KEY, JSON.stringify(this.all));
    }, () => {}); // As they were last.
  }

  /** Another who logs in on this phone has other cells. */
  end(): void {
    this.all = [];
    localStorage.removeItem(KEY);
  }
}

export const cells = new Cells();
