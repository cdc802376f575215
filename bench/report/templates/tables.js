'use strict';
// The page is whole without this: it sorts, filters and pages what stands in it already.
const PAGE_ROWS = 100, FEW_ROWS = 20, ABSENT = '–';
const NUMBER = /^[-+]?[\d,]*\.?\d+( |$)/;
const inWords = new Intl.Collator('en', { numeric: true });

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function keysOf(rows, column) {
  const texts = rows.map(row => row.cells[column].textContent.trim());
  const numbers = texts.every(text => text === ABSENT || NUMBER.test(text));
  return texts.map(text => text === ABSENT ? null : numbers ? parseFloat(text.replaceAll(',', '')) : text);
}

function compareKeys(one, other) {
  return typeof one === 'number' ? one - other : inWords.compare(one, other);
}

function enhance(table) {
  const body = table.tBodies[0], headings = [...table.tHead.rows[0].cells];
  const texts = new Map([...body.rows].map(row => [row, row.textContent.toLowerCase()]));
  let rows = [...body.rows], wanted = '', first = 0;
  const said = make('p', { className: 'small' });
  said.setAttribute('role', 'status');
  const back = make('button', { type: 'button', textContent: 'Previous rows' });
  const on = make('button', { type: 'button', textContent: 'Next rows' });

  function show() {
    const found = rows.filter(row => texts.get(row).includes(wanted));
    const shown = new Set(found.slice(first, first + PAGE_ROWS));
    for (const row of rows) row.classList.toggle('off', !shown.has(row));
    back.disabled = first === 0;
    on.disabled = first + PAGE_ROWS >= found.length;
    const sorted = headings.find(heading => heading.ariaSort);
    const part = shown.size < found.length ? `Rows ${first + 1} to ${first + shown.size} of ${found.length}` : `${found.length} rows`;
    const rest = wanted ? ` with “${wanted}”, of ${rows.length}` : '';
    said.textContent = part + rest + (sorted ? `; sorted by ${sorted.textContent}, ${sorted.ariaSort}` : '');
  }

  headings.forEach((heading, column) => {
    const press = make('button', { type: 'button' }, ...heading.childNodes);
    press.addEventListener('click', () => {
      const sign = heading.ariaSort === 'ascending' ? -1 : 1;
      for (const other of headings) other.removeAttribute('aria-sort');
      heading.ariaSort = sign > 0 ? 'ascending' : 'descending';
      const keys = keysOf(rows, column);
      const places = rows.map((_, place) => place);
      places.sort((a, b) => keys[a] === null || keys[b] === null
        ? (keys[a] === null) - (keys[b] === null)
        : sign * compareKeys(keys[a], keys[b]));
      rows = places.map(place => rows[place]);
      body.append(...rows);
      first = 0;
      show();
    });
    heading.append(press);
  });
  back.addEventListener('click', () => { first -= PAGE_ROWS; show(); });
  on.addEventListener('click', () => { first += PAGE_ROWS; show(); });

  const controls = make('div', { className: 'controls' });
  if (rows.length > FEW_ROWS) {
    const filter = make('input', { type: 'search' });
    filter.addEventListener('input', () => { wanted = filter.value.trim().toLowerCase(); first = 0; show(); });
    controls.append(make('label', {}, 'Only rows with ', filter));
  }
  if (rows.length > PAGE_ROWS) controls.append(back, on);
  controls.append(said);
  table.parentElement.before(controls);
  show();
}

for (const table of document.querySelectorAll('table.sortable')) enhance(table);

// A part that scrolls sideways is reached by keyboard; one that does not is no stop on the way.
const resized = new ResizeObserver(entries => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute('tabindex');
  }
});
for (const part of document.querySelectorAll('.wide, pre')) resized.observe(part);
