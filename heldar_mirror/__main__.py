from heldar_mirror.cli.main import main

main()
