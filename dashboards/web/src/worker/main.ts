import { mount } from 'svelte';
import '../lib/tokens.css';
import './phone.css';
import App from './App.svelte';

mount(App, { target: document.getElementById('page')! });
