import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import './shared/theme.css'
import './shared/base.css'
import './app.css'
import { startSession } from './shared/session.ts'
import { applyTheme } from './shared/theme.ts'

applyTheme()
void startSession()
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
