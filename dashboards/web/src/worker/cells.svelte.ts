// The cells of this worker, kept on the phone from the log-in on: a hazard is reported also by who has never had that page open before the network went.
import { get, type Page } from '../lib/gateway';

const KEY = 'gridwarden-worker-cells';
interface Named { code: string; name: string }

class Cells {
  all = $state.raw<Named[]>(JSON.parse(localStorage.getItem(KEY) ?? '[]'));

  begin(): void {
    void get<Page<Named>>('/api/v1/cells?limit=100').then(({ items }) => {
      this.all = items.map(({ code, name }) => ({ code, name }));
      localStorage.setItem(KEY, JSON.stringify(this.all));
    }, () => {}); // As they were last.
  }
}

export const cells = new Cells();
