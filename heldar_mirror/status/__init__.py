"""What is each camera's mirror doing?"""
